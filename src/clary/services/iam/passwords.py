"""Passwords: how they are kept (scrypt), and what an account asks of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from clary.errors import ServiceError

# A guess costs 64 MiB and about a tenth of a second.
_COST, _BLOCK, _LANES = 2**16, 8, 1
_MOST_MEMORY = 2 * 128 * _COST * _BLOCK
_SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")

# What AWS asks where an account has no policy of its own.
DEFAULT: Mapping[str, Any] = {"MinimumPasswordLength": 8, "Kinds": 3}


def hashed(password: str) -> str:
    """`salt$digest`, both in base64."""
    salt = secrets.token_bytes(16)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(_digest(password, salt)).decode()}"


def matches(password: str, kept: str) -> bool:
    salt, digest = (base64.b64decode(part) for part in kept.split("$"))
    return hmac.compare_digest(_digest(password, salt), digest)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MOST_MEMORY, dklen=32)


def check(password: str, policy: Mapping[str, Any]) -> None:
    """Raises PasswordPolicyViolation."""
    least = policy["MinimumPasswordLength"]
    if len(password) < least:
        raise _violation(f"it must have at least {least} characters")
    kinds = {
        "Symbols": bool(_SYMBOLS & set(password)),
        "Numbers": any(each.isdigit() for each in password),
        "UppercaseCharacters": any(each.isupper() for each in password),
        "LowercaseCharacters": any(each.islower() for each in password),
    }
    if sum(kinds.values()) < policy.get("Kinds", 0):
        raise _violation(f"it must have {policy['Kinds']} of: uppercase and lowercase letters, numbers, symbols")
    for kind, there in kinds.items():
        if policy.get(f"Require{kind}") and not there:
            raise _violation(f"it must have at least one of: {kind}")


def _violation(why: str) -> ServiceError:
    message = f"Password does not conform to the account password policy: {why}."
    return ServiceError("PasswordPolicyViolation", message, 400)
