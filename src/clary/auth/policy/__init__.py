"""Policies: their language, and what they decide. Knows no store and no service."""

from clary.auth.policy.caller import CURRENT, NEW, Caller, Identity, Side, Version
from clary.auth.policy.decision import Ask, Decision, Matched, Standing, decide
from clary.auth.policy.language import MalformedPolicy, Policy, parse, stored
from clary.auth.policy.patterns import Context
from clary.auth.policy.words import denial

__all__ = [
    "CURRENT",
    "NEW",
    "Ask",
    "Caller",
    "Context",
    "Decision",
    "Identity",
    "MalformedPolicy",
    "Matched",
    "Policy",
    "Side",
    "Standing",
    "Version",
    "decide",
    "denial",
    "parse",
    "stored",
]
