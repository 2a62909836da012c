"""Policies: their language, and what they decide. Knows no store and no service."""

from clary.auth.policy.decision import Ask, Decision, Matched, Standing, decide
from clary.auth.policy.identity import Identity
from clary.auth.policy.language import MalformedPolicy, Policy, parse
from clary.auth.policy.words import denial

__all__ = [
    "Ask",
    "Decision",
    "Identity",
    "MalformedPolicy",
    "Matched",
    "Policy",
    "Standing",
    "decide",
    "denial",
    "parse",
]
