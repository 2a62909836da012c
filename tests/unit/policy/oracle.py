"""A second evaluator of policies, written from AWS's pages alone: slow, and made to be read next to them. It works on
the JSON documents themselves and shares nothing with the one that decides."""

from __future__ import annotations

import base64
import ipaddress
import json
from datetime import datetime, timezone
from typing import Any

Json = dict[str, Any]
Keys = dict[str, list[str]]


def decide(who: Json, action: str, resource: str, keys: Keys, sides: Json) -> tuple[bool, str]:
    """(allowed, "allowed" | "explicit" | "implicit"). `who`: {kind, account, arn, id, role (its ARN), behind (the id of
    the session's role or user)}; `sides`: {identity: [texts], boundary, session: [texts] | None, resource,
    resource_account, resource_decides}."""
    request = ({**who, "bounded": bool(sides["boundary"])}, action, resource, keys)
    mine = [json.loads(text) for text in sides["identity"]]
    boundary = [json.loads(sides["boundary"])] if sides["boundary"] else None
    session = None if sides["session"] is None else [json.loads(text) for text in sides["session"]]
    theirs = json.loads(sides["resource"]) if sides["resource"] else {"Statement": []}

    # "An explicit deny in any of these policies overrides the allow."
    if any(says("Deny", document, request) for document in [*mine, *(boundary or []), *(session or [])]):
        return False, "explicit"
    if any(reaches(statement, "Deny", request) for statement in theirs["Statement"]):
        return False, "explicit"

    by_identity = who["kind"] == "root" or any(says("Allow", document, request) for document in mine)
    if who["kind"] != "root" and boundary is not None:
        within_boundary = any(says("Allow", document, request) for document in boundary)
    else:
        within_boundary = True
    if who["kind"] != "root" and session is not None:
        within_session = any(says("Allow", document, request) for document in session)
    else:
        within_session = True
    ways = {way for statement in theirs["Statement"] for way in reaches(statement, "Allow", request)}

    if who["kind"] in ("anonymous", "service"):
        allowed = bool(ways)
    elif sides["resource_account"] not in ("", who["account"]):
        allowed = bool(ways) and by_identity and within_boundary and within_session
    elif "itself" in ways:
        allowed = True  # not limited by an implicit deny in an identity policy, a boundary or a session policy
    elif "role" in ways:
        allowed = within(who, boundary, session, request)
    elif sides["resource_decides"] and not ways:
        allowed = False
    else:
        allowed = by_identity and within_boundary and within_session
    return allowed, "allowed" if allowed else "implicit"


def within(who: Json, boundary: list[Json] | None, session: list[Json] | None, request: Any) -> bool:
    """Limited by an implicit deny in a permissions boundary or a session policy."""
    return all(limits is None or any(says("Allow", each, request) for each in limits) for limits in (boundary, session))


def says(effect: str, document: Json, request: Any) -> bool:
    return any(
        statement["Effect"] == effect
        and "Principal" not in statement
        and "NotPrincipal" not in statement
        and applies(statement, document, request)
        for statement in document["Statement"]
    )


def reaches(statement: Json, effect: str, request: Any) -> set[str]:
    """The ways in which a resource policy's statement names the caller, when it applies: itself, role, account."""
    who = request[0]
    document = {"Version": "2012-10-17"}
    if statement["Effect"] != effect or not applies(statement, document, request):
        return set()
    if "Principal" in statement:
        return {way for way, names in names_of(who).items() if named(who, names, statement["Principal"])}
    ways = [bool(named(who, names, statement["NotPrincipal"])) for names in names_of(who).values()]
    # "The NotPrincipal element with a Deny effect will always deny any IAM principal that has a permissions boundary"
    excepted = any(ways) if effect == "Allow" else all(ways) and not who["bounded"]
    return set() if excepted else {"itself"}


def names_of(who: Json) -> dict[str, list[str]]:
    """What a policy may call the caller."""
    ids = who["kind"] in ("user", "role-session", "federated-user")
    found = {"itself": [who["arn"], *([who["id"]] * ids)] if who["arn"] else []}
    if who["kind"] == "role-session":
        found["role"] = [who["role"], who["behind"]]
    if who["kind"] == "federated-user":
        found["role"] = [who["behind"]]  # limited like a role's session where the policy names the user
    if who["account"] and who["kind"] != "service":
        found["account"] = [who["account"], f"arn:aws:iam::{who['account']}:root"]
    return found


def named(who: Json, names: list[str], principal: Any) -> bool:
    if principal == "*":
        return True
    for kind, given in principal.items():
        listed = [given] if isinstance(given, str) else given
        if kind == "AWS" and "*" in listed and who["kind"] != "service":
            return True
        if (kind == "Service") == (who["kind"] == "service") and any(name in listed for name in names):
            return True
    return False


def applies(statement: Json, document: Json, request: Any) -> bool:
    _, action, resource, keys = request
    new = document["Version"] == "2012-10-17"
    if "Action" in statement:
        if not any(like(text.lower(), action.lower()) for text in listed(statement["Action"])):
            return False
    elif any(like(text.lower(), action.lower()) for text in listed(statement["NotAction"])):
        return False
    resources = listed(statement.get("Resource", statement.get("NotResource")))
    fits = any(fits_pattern(text, resource, keys, new) for text in resources)
    if fits != ("Resource" in statement):
        return False
    return all(
        condition(operator, listed(values), keys.get(key.lower()), keys, new)
        for operator, wanted in statement.get("Condition", {}).items()
        for key, values in wanted.items()
    )


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def fits_pattern(text: str, value: str, keys: Keys, new: bool) -> bool:
    pattern = filled(text, keys, new)
    return pattern is not None and like(pattern, value)


ESCAPED = {"*": "\ue000", "?": "\ue001", "$": "\ue002"}  # a character that was written as itself


def filled(text: str, keys: Keys, new: bool) -> str | None:
    """With variables replaced; what they stand for has no wildcards. None: a variable has no value."""
    if not new:
        return text
    out = ""
    while "${" in text and "}" in text[text.index("${") :]:
        start = text.index("${")
        end = text.index("}", start)
        inner, out, text = text[start + 2 : end], out + text[:start], text[end + 1 :]
        if inner in ESCAPED:
            out += ESCAPED[inner]
            continue
        name, _, default = inner.partition(",")
        values = keys.get(name.strip().lower(), [])
        if len(values) == 1:
            word = values[0]
        elif not values and default:
            word = default.strip().strip("'")
        else:
            return None
        out += "".join(ESCAPED.get(letter, letter) for letter in word)
    return out + text


def plain(pattern: str) -> str:
    for letter, mark in ESCAPED.items():
        pattern = pattern.replace(mark, letter)
    return pattern


def like(pattern: str, value: str) -> bool:
    """By dynamic programming over both texts."""
    row = [True] + [False] * len(value)
    for letter in pattern:
        if letter == "*":
            reached, new = False, []
            for before in row:
                reached = reached or before
                new.append(reached)
        else:
            new = [False] + [row[n] and (letter == "?" or plain(letter) == value[n]) for n in range(len(value))]
        row = new
    return row[-1]


def condition(operator: str, wanted: list[Any], given: list[str] | None, keys: Keys, new: bool) -> bool:
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in wanted]
    if operator == "Null":
        return ("false" if given else "true") in [value.lower() for value in values]
    many, _, name = operator.rpartition(":")
    optional, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    opposite = "Not" in name
    name = name.replace("Not", "")
    if not given:
        return optional or many == "ForAllValues" or (opposite and not many)
    results = [any(compares(name, value, each, keys, new) for value in values) != opposite for each in given]
    if many == "ForAllValues" or (not many and opposite):
        return all(results)
    return any(results)


def compares(name: str, wanted: str, given: str, keys: Keys, new: bool) -> bool:
    if name.startswith(("String", "Arn")):
        pattern = filled(wanted, keys, new)
        return pattern is not None and matches(name, pattern, given)
    try:
        return typed(name, wanted, given)
    except ValueError:
        return False


def matches(name: str, pattern: str, given: str) -> bool:
    if name == "StringEquals":
        return plain(pattern) == given
    if name == "StringEqualsIgnoreCase":
        return plain(pattern).lower() == given.lower()
    if name == "StringLike":
        return like(pattern, given)
    parts, theirs = pattern.split(":", 5), given.split(":", 5)
    if len(parts) < 6 and parts[-1].endswith("*"):
        return like(pattern, given)
    return len(parts) == len(theirs) and all(map(like, parts, theirs))


def typed(name: str, wanted: str, given: str) -> bool:
    if name == "Bool":
        return wanted.lower() == given.lower() and given.lower() in ("true", "false")
    if name == "BinaryEquals":
        return base64.b64decode(wanted, validate=True) == base64.b64decode(given, validate=True)
    if name == "IpAddress":
        network, address = ipaddress.ip_network(wanted, strict=False), ipaddress.ip_address(given)
        return address in network
    kind = "Numeric" if name.startswith("Numeric") else "Date"
    read = float if kind == "Numeric" else when
    one, other = read(given), read(wanted)
    return {
        "Equals": one == other,
        "LessThan": one < other,
        "LessThanEquals": one <= other,
        "GreaterThan": one > other,
        "GreaterThanEquals": one >= other,
    }[name.removeprefix(kind)]


def when(text: str) -> float:
    if text.isdigit():
        return float(text)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=timezone.utc).timestamp()  # noqa: UP017
