"""Which policies decide: the cases that AWS's pages on policy evaluation describe."""

from __future__ import annotations

import pytest

from clary.auth.policy import Ask, Caller, Decision, Identity, Policy, Side, Standing, decide, denial
from clary.auth.principals import ANONYMOUS, Principal
from unit.policy.people import (
    AWAY,
    FEDERATED,
    HOME,
    OTHER,
    ROOT,
    SAGEMAKER,
    SESSION,
    STRANGER,
    USER,
    allow,
    deny,
    policy,
)

OBJECT = "arn:aws:s3:::bucket/key"
ROLE = f"arn:aws:iam::{HOME}:role/path/train"
ALL = policy(allow())
NOTHING = policy(allow(Action="iam:ListUsers"))


def ask(principal: Principal, standing: Standing, action: str = "s3:GetObject") -> Decision:
    return decide(Ask(principal, action, OBJECT), standing)


def bucket(*statements: dict[str, object], account: str = HOME, **sides: object) -> Standing:
    return Standing(resource=policy(*statements), resource_account=account, **sides)  # type: ignore[arg-type] # of several types


def verdict(decision: Decision) -> tuple[bool, str, str]:
    return decision.allowed, decision.why, decision.kind


def test_nothing_is_allowed_without_a_word() -> None:
    assert verdict(ask(USER, Standing())) == (False, "implicit", "identity")


def test_the_root_of_the_account_needs_no_policy() -> None:
    assert verdict(ask(ROOT, Standing())) == (True, "allowed", "identity")
    assert verdict(ask(ROOT, Standing(resource=policy(deny(Principal="*")), resource_account=HOME)))[0] is False
    assert ask(ROOT, Standing(resource_account=AWAY)).allowed is False


def test_an_identity_policy_allows_within_the_account() -> None:
    assert verdict(ask(USER, Standing([ALL], resource_account=HOME))) == (True, "allowed", "identity")


@pytest.mark.parametrize("kind", ["identity", "boundary", "session", "resource"])
def test_an_explicit_deny_anywhere_wins(kind: str) -> None:
    no = policy(allow(), deny(Action="s3:Get*"))
    sides = {
        "identity": Standing([ALL, no]),
        "boundary": Standing([ALL], boundary=no),
        "session": Standing([ALL], session=[no]),
        "resource": bucket(allow(Principal="*"), deny(Principal="*"), identity=[ALL]),
    }
    assert verdict(ask(SESSION, sides[kind])) == (False, "explicit", kind)


@pytest.mark.parametrize(("kind", "side"), [("boundary", {"boundary": NOTHING}), ("session", {"session": [NOTHING]})])
def test_boundary_and_session_policies_narrow(kind: str, side: dict[str, Policy]) -> None:
    assert verdict(ask(SESSION, Standing([ALL], **side))) == (False, "implicit", kind)  # type: ignore[arg-type] # of several types


def test_no_session_policy_and_an_empty_list_of_them_differ() -> None:
    assert ask(SESSION, Standing([ALL], session=None)).allowed
    assert verdict(ask(SESSION, Standing([ALL], session=[]))) == (False, "implicit", "session")


@pytest.mark.parametrize("narrow", [{}, {"boundary": NOTHING}, {"session": [NOTHING]}])
@pytest.mark.parametrize("named", [{"AWS": USER.arn}, {"AWS": [OTHER.arn, USER.arn]}, "*", {"AWS": "*"}])
def test_a_bucket_policy_that_names_the_user_is_enough(narrow: dict[str, Policy], named: object) -> None:
    assert verdict(ask(USER, bucket(allow(Principal=named), **narrow))) == (True, "allowed", "resource")


def test_a_bucket_policy_that_names_the_role_is_narrowed_by_boundary_and_session() -> None:
    named = allow(Principal={"AWS": ROLE})
    assert ask(SESSION, bucket(named)).allowed
    assert verdict(ask(SESSION, bucket(named, boundary=NOTHING))) == (False, "implicit", "boundary")
    assert verdict(ask(SESSION, bucket(named, session=[NOTHING]))) == (False, "implicit", "session")


def test_a_bucket_policy_that_names_the_session_is_not() -> None:
    named = allow(Principal={"AWS": SESSION.arn})
    assert ask(SESSION, bucket(named, boundary=NOTHING, session=[NOTHING])).allowed


# AWS: "Resource-based policies and implicit denies in other policy types", line by line.
@pytest.mark.parametrize(
    ("who", "named", "allowed"),
    [
        (SESSION, ROLE, False),
        (SESSION, SESSION.behind, False),
        (SESSION, SESSION.arn, True),
        (SESSION, SESSION.user_id, True),
        (USER, USER.arn, True),
        (USER, USER.user_id, True),
        (FEDERATED, USER.user_id, False),
        (FEDERATED, FEDERATED.arn, True),
        (ROOT, HOME, True),
        (USER, HOME, False),
        (SESSION, HOME, False),
        (SESSION, "*", True),
        (FEDERATED, "*", True),
    ],
)
def test_what_an_implicit_deny_elsewhere_leaves_of_a_resource_policy(who: Principal, named: str, allowed: bool) -> None:
    limits: dict[str, object] = {} if who is ROOT else {"boundary": NOTHING, "identity": [NOTHING]}
    if who in (SESSION, FEDERATED):
        limits["session"] = [NOTHING]
    assert ask(who, bucket(allow(Principal={"AWS": named}), **limits)).allowed is allowed
    if named not in (HOME, "*"):
        assert ask(who, bucket(allow(Principal={"AWS": named}))).allowed, "with nothing in its way"


@pytest.mark.parametrize("account", [HOME, f"arn:aws:iam::{HOME}:root"])
def test_naming_the_account_leaves_it_to_the_account(account: str) -> None:
    delegated = allow(Principal={"AWS": account})
    assert verdict(ask(USER, bucket(delegated))) == (False, "implicit", "identity")
    assert ask(USER, bucket(delegated, identity=[ALL])).allowed
    assert ask(USER, bucket(deny(Principal={"AWS": account}), identity=[ALL])).allowed is False


def test_between_accounts_both_sides_have_to_allow() -> None:
    named = allow(Principal={"AWS": STRANGER.arn})
    assert verdict(ask(STRANGER, bucket(named))) == (False, "implicit", "identity")
    assert verdict(ask(STRANGER, Standing([ALL], resource_account=HOME))) == (False, "implicit", "resource")
    assert ask(STRANGER, bucket(named, identity=[ALL])).allowed
    assert ask(STRANGER, bucket(allow(Principal={"AWS": AWAY}), identity=[ALL])).allowed


def test_anonymous_and_services_have_the_resource_policy_alone() -> None:
    assert ask(ANONYMOUS, bucket(allow(Principal="*"))).allowed
    assert ask(ANONYMOUS, bucket(allow(Principal={"AWS": HOME}))).allowed is False
    assert ask(ANONYMOUS, bucket(allow(Principal={"AWS": ""}))).allowed is False
    assert verdict(ask(ANONYMOUS, Standing(resource_account=HOME))) == (False, "implicit", "resource")
    assert ask(SAGEMAKER, bucket(allow(Principal={"Service": SAGEMAKER.arn}))).allowed
    assert ask(SAGEMAKER, bucket(allow(Principal={"Service": "ec2.amazonaws.com"}))).allowed is False


def test_a_deny_to_all_but_some_needs_every_name_of_them() -> None:
    def spared(*names: str) -> bool:
        return ask(SESSION, bucket(deny(NotPrincipal={"AWS": list(names)}), identity=[ALL])).allowed

    assert spared(SESSION.arn, ROLE, HOME)
    assert not spared(SESSION.arn, ROLE)
    assert not spared(SESSION.arn)
    assert spared(SESSION.user_id, SESSION.behind, HOME)


def test_a_deny_to_all_but_some_spares_nobody_with_a_boundary() -> None:
    named = deny(NotPrincipal={"AWS": [USER.arn, HOME]})
    assert ask(USER, bucket(named, identity=[ALL])).allowed
    assert verdict(ask(USER, bucket(named, identity=[ALL], boundary=ALL))) == (False, "explicit", "resource")


def test_a_resource_that_decides_lets_nobody_in_by_identity_policies_alone() -> None:
    def key(*statements: dict[str, object], **sides: object) -> Standing:
        return bucket(*statements, resource_decides=True, **sides)

    delegated = allow(Principal={"AWS": f"arn:aws:iam::{HOME}:root"})
    assert verdict(ask(USER, key(allow(Principal={"AWS": OTHER.arn}), identity=[ALL]))) == (
        *(False, "implicit"),
        "resource",
    )
    assert ask(USER, key(delegated, identity=[ALL])).allowed
    assert verdict(ask(USER, key(delegated))) == (False, "implicit", "identity")
    assert ask(ROOT, key(delegated)).allowed
    assert ask(ROOT, key(allow(Principal={"AWS": USER.arn}))).allowed is False
    assert ask(USER, key(allow(Principal={"AWS": USER.arn}))).allowed


def test_a_policy_of_an_identity_that_names_principals_allows_nothing() -> None:
    assert ask(USER, Standing([policy(allow(Principal="*"))])).allowed is False


def test_the_matching_statements_are_told() -> None:
    decision = ask(USER, Standing([policy(allow(Sid="No", Action="iam:*"), allow(Sid="Yes"))]))
    assert [each.statement.sid for each in decision.statements] == ["Yes"]


def test_denials_in_aws_words() -> None:
    asked = Ask(USER, "s3:GetObject", OBJECT)
    implicit = decide(asked, Standing())
    assert denial(asked, implicit, quoted=True) == (
        f'User: {USER.arn} is not authorized to perform: s3:GetObject on resource: "{OBJECT}" '
        "because no identity-based policy allows the s3:GetObject action"
    )
    explicit = decide(asked, Standing([ALL], boundary=policy(deny())))
    assert denial(asked, explicit).endswith(f"on resource: {OBJECT} with an explicit deny in a permissions boundary")


def test_what_an_identity_settles_counts_where_no_resource_has_a_word() -> None:
    sides = {
        "home": Side(HOME),
        "away": Side(AWAY),
        "alone": Side(HOME, decides=True),
        "denied": Side(HOME, policy(deny(Principal="*"))),
    }
    for who, identity in ((ROOT, Identity()), (USER, Identity((ALL,)))):
        caller = Caller(who, identity, sides=lambda _who, _action, resource, _version: sides[resource])
        for _ in range(2):
            assert [caller.decide("s3:GetObject", each).allowed for each in sides] == [True, False, False, False]
    assert Identity((ALL,)).settled("user", "s3:GetObject") is not None
    but = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::a"}
    for narrow in (allow(Resource="arn:aws:s3:::a"), but, allow(Condition={"Null": {"a": "true"}})):
        assert Identity((policy(narrow),)).settled("user", "s3:GetObject") is None
    assert Identity((policy(allow(), deny(Resource="arn:aws:s3:::a")),)).settled("user", "s3:GetObject") is None
    assert Identity((ALL,), boundary=NOTHING).settled("user", "s3:GetObject") is None
    assert Identity().settled("service", "s3:GetObject") is None
