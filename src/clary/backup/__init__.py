"""Copies of a whole home: taken while its server runs, kept in one file, put back into a fresh home; and the reading of
every object to see that its bytes are still what was stored."""
