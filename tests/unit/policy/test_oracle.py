"""Two evaluators, written apart, agree on random cases."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from clary.auth.policy import Ask, Caller, Identity, Side, Standing, decide, parse
from clary.auth.principals import Principal
from unit.policy import oracle
from unit.policy.people import AWAY, EVERYBODY, FEDERATED, HOME, OTHER, SESSION, STRANGER, USER

ROLE = f"arn:aws:iam::{HOME}:role/path/train"
ACTIONS = ["s3:GetObject", "s3:PutObject", "iam:GetUser", "S3:getobject"]
ACTION_PATTERNS = ["*", "s3:*", "s3:Get*", "s3:getobject", "s3:?etObject", "iam:*", "s3:*Object", "s3:PutObject"]
RESOURCES = ["arn:aws:s3:::b/k", "arn:aws:s3:::b/ann/k", "arn:aws:s3:::b/*", "arn:aws:s3:::c", "*"]
RESOURCE_PATTERNS = [
    *("*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k", "arn:aws:s3:::?/k", "arn:*:b/*k", "arn:aws:s3:::B/k"),
    *("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/${none}/*", "arn:aws:s3:::b/${none, 'ann'}/*"),
    *("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/${several}", "arn:aws:s3:::${star}/k", "arn:aws:s3:::${aws:UserName}*"),
]
KEYS = {
    "aws:username": [["ann"], ["bob"], None],
    "several": [["a", "b"], ["a"], [], None],
    "star": [["*"], ["b"], None],
    "number": [["5"], ["10"], ["x"], None],
    "date": [["2024-01-01T00:00:00Z"], ["1704067200"], ["1704067201"], None],
    "ip": [["192.0.2.7"], ["203.0.113.9"], ["2001:db8::1"], None],
    "arn": [["arn:aws:iam::1:role/x"], ["arn:aws:s3:::b:c"], ["none"], None],
    "truth": [["true"], ["false"], ["TRUE"], None],
    "bytes": [["QQ=="], ["QUI="], None],
}
VALUES = {
    "String": ["a", "b", "ann", "A", "a*", "?", "${aws:username}", "${none, 'a'}", "*", "${*}", ""],
    "Like": ["a", "a*", "?", "*n?", "${aws:username}*", "${none, 'a'}", "*", "${*}", "${star}"],
    "Numeric": ["5", "10", "7.5", 5],
    "Date": ["2024-01-01T00:00:00Z", "1704067200", "2025-01-01T00:00:00Z"],
    "Bool": ["true", "false", True],
    "Binary": ["QQ==", "QUI="],
    "Ip": ["192.0.2.0/24", "203.0.113.9", "2001:db8::/32", "0.0.0.0/0"],
    "Arn": ["arn:aws:iam::1:role/*", "arn:aws:*", "*", "arn:aws:s3:::b:?", "arn:*:role/x", "arn:aws:iam::${star}:*"],
    "Null": ["true", "false", True],
}
OPERATORS = {
    "String": [f"String{name}" for name in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase")],
    "Like": ["StringLike", "StringNotLike"],
    "Numeric": [f"Numeric{name}" for name in ("Equals", "NotEquals", "LessThan", "GreaterThanEquals")],
    "Date": [f"Date{name}" for name in ("Equals", "NotEquals", "LessThanEquals", "GreaterThan")],
    "Bool": ["Bool"],
    "Binary": ["BinaryEquals"],
    "Ip": ["IpAddress", "NotIpAddress"],
    "Arn": ["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"],
    "Null": ["Null"],
}
NAMES: list[Any] = [
    *("*", {"AWS": "*"}, {"AWS": HOME}, {"AWS": f"arn:aws:iam::{HOME}:root"}, {"AWS": USER.arn}, {"AWS": SESSION.arn}),
    *({"AWS": ROLE}, {"AWS": [OTHER.arn, STRANGER.arn]}, {"AWS": [SESSION.arn, ROLE, HOME]}, {"AWS": AWAY}),
    *(
        {"AWS": USER.user_id},
        {"AWS": SESSION.user_id},
        {"AWS": [SESSION.behind, FEDERATED.arn]},
        {"AWS": FEDERATED.arn},
    ),
    *({"AWS": [SESSION.user_id, SESSION.behind, HOME]}, {"AWS": [FEDERATED.arn, USER.user_id, HOME]}),
    *({"Service": "sagemaker.amazonaws.com"}, {"AWS": [USER.arn, HOME], "Service": "ec2.amazonaws.com"}),
]


class Cases:
    """Random cases, the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, pool: list[Any], most: int = 3) -> Any:
        if self.random.random() < 0.6:
            return self.random.choice(pool)
        return self.random.choices(pool, k=self.random.randint(0, most))

    def condition(self) -> dict[str, Any]:
        kind = self.random.choice(list(OPERATORS))
        operator = self.random.choice(OPERATORS[kind])
        if kind != "Null":
            operator = self.random.choice(["", "", "", "ForAnyValue:", "ForAllValues:"]) + operator
            operator += self.random.choice(["", "", "IfExists"])
        key = self.random.choice(list(KEYS))
        return {operator: {key.upper() if self.random.random() < 0.2 else key: self.some(VALUES[kind])}}

    def statement(self, resource_policy: bool) -> dict[str, Any]:
        chance = self.random.random
        made = {
            "Effect": "Allow" if chance() < 0.75 else "Deny",
            "NotAction" if chance() < 0.15 else "Action": self.some(ACTION_PATTERNS),
            "NotResource" if chance() < 0.15 else "Resource": self.some(RESOURCE_PATTERNS),
        }
        if chance() < 0.4:
            made["Condition"] = self.condition()
        if resource_policy:
            made["NotPrincipal" if chance() < 0.2 else "Principal"] = self.random.choice(NAMES)
        return made

    def policy(self, resource_policy: bool = False) -> str:
        version = "2012-10-17" if resource_policy or self.random.random() < 0.9 else "2008-10-17"
        statements = [self.statement(resource_policy) for _ in range(self.random.randint(1, 3))]
        return json.dumps({"Version": version, "Statement": statements})

    def maybe(self, chance: float, resource_policy: bool = False) -> str | None:
        return self.policy(resource_policy) if self.random.random() < chance else None

    def case(self) -> tuple[Principal, str, str, dict[str, list[str]], dict[str, Any]]:
        given = {name: self.random.choice(values) for name, values in KEYS.items()}
        keys = {name: values for name, values in given.items() if values is not None}
        sides = {
            "identity": [self.policy() for _ in range(self.random.randint(0, 2))],
            "boundary": self.maybe(0.25),
            "session": [self.policy() for _ in range(self.random.randint(0, 2))]
            if self.random.random() < 0.25
            else None,
            "resource": self.maybe(0.6, resource_policy=True),
            "resource_account": self.random.choice(["", HOME, HOME, AWAY]),
            "resource_decides": self.random.random() < 0.2,
        }
        who = self.random.choice(EVERYBODY)
        if who.kind == "root":
            sides |= {"identity": [], "boundary": None, "session": None}
        return who, self.random.choice(ACTIONS), self.random.choice(RESOURCES), keys, sides


def decided(who: Principal, action: str, resource: str, keys: dict[str, list[str]], sides: dict[str, Any]) -> Any:
    standing = Standing(
        [parse(text) for text in sides["identity"]],
        parse(sides["boundary"]) if sides["boundary"] else None,
        None if sides["session"] is None else [parse(text) for text in sides["session"]],
        parse(sides["resource"]) if sides["resource"] else None,
        sides["resource_account"],
        sides["resource_decides"],
    )
    decision = decide(Ask(who, action, resource, keys), standing)
    ask = asked(who, standing)
    for _ in range(2):  # what is settled without the resource's side is remembered
        assert ask(action, resource, keys) == (decision.allowed, decision.why, decision.kind)
    return decision.allowed, decision.why


def asked(who: Principal, standing: Standing) -> Callable[..., tuple[bool, str, str]]:
    """The same as a caller asks it in a request."""
    identity = Identity(standing.identity, standing.boundary, standing.session)
    side = Side(standing.resource_account, standing.resource, standing.resource_decides)
    caller = Caller(who, identity, sides=lambda *_: side)

    def ask(action: str, resource: str, keys: dict[str, list[str]]) -> tuple[bool, str, str]:
        decision = caller.decide(action, resource, keys)
        return decision.allowed, decision.why, decision.kind

    return ask


def agree(seed: int, count: int) -> dict[Any, int]:
    """How often each answer came."""
    cases, seen = Cases(seed), dict[Any, int]()
    for number in range(count):
        who, action, resource, keys, sides = cases.case()
        role = f"arn:aws:iam::{who.account}:role/{who.role}"
        described = {"kind": who.kind, "account": who.account, "arn": who.arn, "role": role}
        described |= {"id": who.user_id, "behind": who.behind}
        expected = oracle.decide(described, action, resource, keys, sides)
        found = decided(who, action, resource, keys, sides)
        assert found == expected, f"case {number} of seed {seed}: {who} {action} {resource} {keys} {json.dumps(sides)}"
        seen[expected] = seen.get(expected, 0) + 1
    return seen


def test_they_agree() -> None:
    seen = agree(seed=1, count=2_000)
    assert min(seen[True, "allowed"], seen[False, "explicit"], seen[False, "implicit"]) > 150, seen


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_they_agree_on_100_000() -> None:
    agree(seed=2, count=100_000)
