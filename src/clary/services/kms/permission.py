"""Who may do what with a key: its key policy first, the caller's IAM policies where that leaves it to them, grants.

Which key a request is about is known when it has been found, so it is here that operations are authorised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.policy import Caller, Decision, MalformedPolicy, Policy, Standing, decide, denial, parse
from clary.errors import ServiceError
from clary.services.kms import faults, granted
from clary.services.kms.asking import Asker
from clary.services.operation import Call
from clary.store.records import Record

Keys = dict[str, Sequence[str]]

# Condition keys, lower-cased: what gives them in requests, and in keys.
_OF_REQUESTS = {
    "kms:bypasspolicylockoutsafetycheck": "BypassPolicyLockoutSafetyCheck",
    "kms:datakeypairspec": "KeyPairSpec",
    "kms:encryptionalgorithm": "EncryptionAlgorithm",
    "kms:expirationmodel": "ExpirationModel",
    "kms:granteeprincipal": "GranteePrincipal",
    "kms:grantoperations": "Operations",
    "kms:keyagreementalgorithm": "KeyAgreementAlgorithm",
    "kms:macalgorithm": "MacAlgorithm",
    "kms:messagetype": "MessageType",
    "kms:primaryregion": "PrimaryRegion",
    "kms:replicaregion": "ReplicaRegion",
    "kms:retiringprincipal": "RetiringPrincipal",
    "kms:rotationperiodindays": "RotationPeriodInDays",
    "kms:schedulekeydeletionpendingwindowindays": "PendingWindowInDays",
    "kms:signingalgorithm": "SigningAlgorithm",
    "kms:wrappingalgorithm": "WrappingAlgorithm",
    "kms:wrappingkeyspec": "WrappingKeySpec",
}
_OF_KEYS = {
    "kms:keyorigin": "Origin",
    "kms:keyspec": "KeySpec",
    "kms:keyusage": "KeyUsage",
    "kms:multiregion": "MultiRegion",
}


def require(connection: Connection, asker: Asker, key: Record) -> Record:
    """The key. Raises AccessDeniedException; of a key of another account in words that do not tell whether it is
    there."""
    caller = asker.caller
    if caller is None:
        if key.account != asker.account:
            raise faults.foreign(asker.principal, asker.operation, key.arn)
        return key
    action, keys = f"kms:{asker.operation}", _keys(asker, key)
    decision = decide(caller.ask(action, key.arn, keys), _standing(caller, key))
    if decision.allowed:
        return key
    if decision.why == "implicit" and granted.granted(
        connection, key, caller.principal, asker.operation, asker.context
    ):
        return key
    if key.account != asker.account:
        raise faults.foreign(asker.principal, asker.operation, key.arn)
    raise ServiceError("AccessDeniedException", denial(caller.ask(action, key.arn, keys), decision))


def _standing(caller: Caller, key: Record) -> Standing:
    """Without a key policy's leave nobody comes in, not even the account's root."""
    mine = caller.identity
    return Standing(mine.policies, mine.boundary, mine.session, _policy(key), key.account, resource_decides=True)


def _policy(key: Record) -> Policy | None:
    try:
        return parse(key.document["Policy"], key.arn)
    except MalformedPolicy:
        return None


def _keys(asker: Asker, key: Record) -> Keys:
    found = request_keys(asker.given)
    found |= {name: _values(key.document[member]) for name, member in _OF_KEYS.items()}
    found["kms:calleraccount"] = (asker.account,)
    if asker.service:
        found["kms:viaservice"] = (f"{asker.service}.{asker.region}.amazonaws.com",)
    if asker.context:
        found["kms:encryptioncontextkeys"] = tuple(asker.context)
        found |= {f"kms:encryptioncontext:{name.lower()}": (text,) for name, text in asker.context.items()}
    return found


def request_keys(given: Any) -> Keys:
    """The condition keys that a request's members give."""
    return {name: _values(given[member]) for name, member in _OF_REQUESTS.items() if given.get(member) is not None}


def tag_keys(named: Mapping[str, str]) -> Keys:
    """The condition keys of the tags that a request brings."""
    keys: Keys = {f"aws:requesttag/{key.lower()}": (value,) for key, value in named.items()}
    return keys | ({"aws:tagkeys": tuple(named)} if named else {})


def _values(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def require_retirement(asker: Asker, key: Record, grant: Record) -> None:
    """The grant itself says who may retire it; besides, those whom the account's own policies let. Raises
    AccessDeniedException."""
    caller = asker.caller
    if caller is None or granted.retires(grant, caller.principal):
        return
    if key.account != asker.account:
        raise faults.foreign(asker.principal, asker.operation, key.arn)
    _require(caller.decide("kms:RetireGrant", key.arn), caller, "kms:RetireGrant", key.arn)


def require_account(call: Call, action: str, resource: str = "*", keys: Keys | None = None) -> None:
    """For what is about no key: the caller's own policies decide. Raises AccessDeniedException."""
    told: Keys = {"kms:calleraccount": (call.account,), **(keys or {})}
    _require(call.caller.decide(action, resource, told), call.caller, action, resource)


def _require(decision: Decision, caller: Caller, action: str, resource: str) -> None:
    if not decision.allowed:
        raise ServiceError("AccessDeniedException", denial(caller.ask(action, resource), decision))
