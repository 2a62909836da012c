"""What IAM says of a principal, read for the evaluator of policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from clary.auth.policy import Identity, MalformedPolicy, Policy, parse
from clary.services.iam import standing
from clary.services.iam.standing import PolicyText

# In the place of a stored policy that cannot be read: nothing then.
_NOTHING = parse('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}', "unreadable")


def identity(found: standing.Identity) -> Identity:
    """As the evaluator takes it."""
    facts: dict[str, Sequence[str]] = {key.lower(): tuple(values) for key, values in found.context.items()}
    facts |= {f"aws:principaltag/{key.lower()}": (value,) for key, value in found.tags.items()}
    if found.issued is not None:
        facts["aws:tokenissuetime"] = (datetime.fromtimestamp(found.issued, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),)
    return Identity(
        _read_all(found.policies),
        None if found.boundary is None else _read_one(found.boundary),
        None if found.session is None else _read_all(found.session),
        facts,
    )


def _read_all(texts: Iterable[PolicyText]) -> tuple[Policy, ...]:
    return tuple(_read_one(each) for each in texts)


def _read_one(text: PolicyText) -> Policy:
    try:
        return parse(text.text, text.name)
    except MalformedPolicy:
        return _NOTHING
