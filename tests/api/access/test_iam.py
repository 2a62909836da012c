"""What IAM's operations ask for: every name that they are about."""

from __future__ import annotations

from api.access.people import ACCOUNT, Person, allow, document, refusal, unique
from whole_server import WholeServer

TAGS = [{"Key": "team", "Value": "a"}]


def test_who_renames_may_change_both_names(server: WholeServer) -> None:
    """Else a user takes the name, and what others are let do by name, of somebody who is gone."""
    person, other = Person(server), unique("other")
    person.may(allow("iam:UpdateUser", on=person.arn))
    iam = person.client("iam")
    code, _, told = refusal(iam.update_user, UserName=person.name, NewUserName=other)
    assert code == "AccessDenied" and f"arn:aws:iam::{ACCOUNT}:user/{other} " in told
    assert f"user/path/{person.name} " in refusal(iam.update_user, UserName=person.name, NewPath="/path/")[2]
    person.may(allow("iam:UpdateUser", on=[person.arn, f"arn:aws:iam::{ACCOUNT}:user/{other}"]))
    iam.update_user(UserName=person.name, NewUserName=other)
    assert server.client("iam").get_user(UserName=other)["User"]["UserName"] == other


def test_who_renames_a_group_may_change_both_names(server: WholeServer) -> None:
    old, new = unique("group"), unique("group")
    arn = server.client("iam").create_group(GroupName=old, Path="/a/b/")["Group"]["Arn"]
    person = Person(server, allow("iam:UpdateGroup", on=arn))
    code, _, told = refusal(person.client("iam").update_group, GroupName=old, NewGroupName=new)
    assert code == "AccessDenied" and f"arn:aws:iam::{ACCOUNT}:group/a/b/{new} " in told
    person.may(allow("iam:UpdateGroup", on=f"arn:aws:iam::{ACCOUNT}:group/a/b/*"))
    person.client("iam").update_group(GroupName=old, NewGroupName=new)


def test_who_creates_with_tags_may_tag(server: WholeServer) -> None:
    person = Person(server, allow("iam:Create*"))
    iam, policy = person.client("iam"), document(allow("s3:*"))
    trust = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    for noun, work, given in (
        ("User", iam.create_user, {}),
        ("Role", iam.create_role, {"AssumeRolePolicyDocument": trust}),
        ("Policy", iam.create_policy, {"PolicyDocument": policy}),
        ("InstanceProfile", iam.create_instance_profile, {}),
    ):
        named = {f"{noun}Name": unique("made"), **given}
        person.may(allow("iam:Create*"))
        code, _, told = refusal(work, **named, Tags=TAGS)
        assert code == "AccessDenied" and f"iam:Tag{noun} on resource: arn:" in told
        person.may(allow("iam:Create*", f"iam:Tag{noun}"))
        work(**named, Tags=TAGS)


def test_the_last_use_of_a_key_is_told_by_its_owner(server: WholeServer) -> None:
    owner, other = Person(server), Person(server)
    person = Person(server, allow("iam:GetAccessKeyLastUsed", on=owner.arn))
    iam = person.client("iam")
    assert iam.get_access_key_last_used(AccessKeyId=owner.keys[0])["UserName"] == owner.name
    code, _, told = refusal(iam.get_access_key_last_used, AccessKeyId=other.keys[0])
    assert code == "AccessDenied" and other.arn in told
