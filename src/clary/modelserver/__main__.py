"""`python -m clary.modelserver`."""

import sys

from clary.modelserver.server import main

if __name__ == "__main__":
    sys.exit(main())
