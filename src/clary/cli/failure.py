"""What a command cannot do."""

from __future__ import annotations


class Failure(Exception):
    """One or two sentences for the user: what happened, and what to do about it."""
