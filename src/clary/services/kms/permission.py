"""Who may do what with a key: its key policy first, the caller's IAM policies where that leaves it to them, grants.

Which key a request is about is known when it has been found, so it is here that operations are authorised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, Caller, Decision, Policy, Standing, decide, denial, parse, stored
from clary.errors import ServiceError
from clary.services import tagging
from clary.services.kms import faults, granted, paging
from clary.services.kms.asking import ALIAS, Asker
from clary.services.operation import Call
from clary.store.records import Record

Keys = dict[str, Sequence[str]]

# What an account can be let do with the keys of another one.
_ABROAD = frozenset(
    {
        *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "Sign", "Verify", "GenerateMac", "VerifyMac"),
        *("GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair"),
        *("GenerateDataKeyPairWithoutPlaintext", "DeriveSharedSecret", "GetPublicKey", "DescribeKey"),
        *("CreateGrant", "ListGrants", "RevokeGrant", "GetKeyRotationStatus"),
    }
)
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
_EVERYTHING = parse({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
_TAGS, _ALIASES = "aws:resourcetag", "kms:resourcealiases"


def require(connection: Connection, asker: Asker, key: Record) -> Record:
    """The key. Raises AccessDeniedException; of a key of another account in words that do not tell whether it is
    there."""
    caller, abroad = asker.caller, key.account != asker.account
    if abroad and (caller is None or asker.operation not in _ABROAD):
        raise faults.foreign(asker.principal, asker.operation, key.arn)
    if caller is None:
        return key
    standing = _standing(caller, key)
    action, keys = f"kms:{asker.operation}", _keys(asker, key) | _attached(connection, standing, key)
    ask = caller.ask(action, key.arn, keys)
    decision = decide(ask, standing)
    if decision.allowed or (decision.why == "implicit" and _granted(connection, asker, key, ask)):
        return key
    if abroad:
        raise faults.foreign(asker.principal, asker.operation, key.arn)
    raise ServiceError("AccessDeniedException", denial(ask, decision))


def _granted(connection: Connection, asker: Asker, key: Record, ask: Ask) -> bool:
    """By a grant, within what the caller's boundary and session leave him."""
    assert asker.caller is not None
    mine = asker.caller.identity
    made = asker.given if asker.operation == "CreateGrant" else None
    return decide(ask, Standing((_EVERYTHING,), mine.boundary, mine.session)).allowed and granted.granted(
        connection, key, ask.principal, asker.operation, asker.context, made
    )


def _standing(caller: Caller, key: Record) -> Standing:
    """Without a key policy's leave nobody comes in, not even the account's root."""
    mine = caller.identity
    return Standing(mine.policies, mine.boundary, mine.session, _policy(key), key.account, resource_decides=True)


def _policy(key: Record) -> Policy | None:
    return stored(key.document["Policy"], key.arn)


def _keys(asker: Asker, key: Record) -> Keys:
    found = request_keys(asker.given)
    found |= {name: _values(key.document[member]) for name, member in _OF_KEYS.items()}
    found["kms:calleraccount"] = (asker.account,)
    _, alias, name = str(asker.given.get("KeyId", "")).partition("alias/")  # the name may hold another
    if alias:
        found["kms:requestalias"] = (alias + name,)
    if asker.service:
        found["kms:viaservice"] = (f"{asker.service}.{asker.region}.amazonaws.com",)
    if asker.context:
        found["kms:encryptioncontextkeys"] = tuple(asker.context)
        found |= {f"kms:encryptioncontext:{name.lower()}": (text,) for name, text in asker.context.items()}
    return found


def _attached(connection: Connection, standing: Standing, key: Record) -> Keys:
    """The condition keys of what hangs on the key; looked up only where a policy looks at them."""
    mine = (*standing.identity, *(standing.session or ()), standing.boundary, standing.resource)
    asked = frozenset().union(*(_asks_for(policy) for policy in mine if policy is not None))
    found: Keys = {}
    if _TAGS in asked:
        tags = tagging.of(connection, key.arn)
        found |= {f"{_TAGS}/{name.lower()}": (value,) for name, value in tags.items()}
    if _ALIASES in asked:
        found[_ALIASES] = tuple(str(each.name) for each in paging.children(connection, ALIAS, key))
    return found


@lru_cache(maxsize=4096)
def _asks_for(policy: Policy) -> frozenset[str]:
    """Of the keys that hang on a KMS key, those that the policy looks at."""
    return frozenset(key.partition("/")[0] for key in policy.condition_keys()) & {_TAGS, _ALIASES}


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
