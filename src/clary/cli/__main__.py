"""`python -m clary.cli` is `clary`."""

from __future__ import annotations

import sys

from clary.cli import main

sys.exit(main())
