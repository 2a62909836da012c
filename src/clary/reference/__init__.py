"""The reference pages, made from what the code declares: `python -m clary.reference docs/reference [--check]`."""
