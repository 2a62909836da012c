"""Who is named in policies and grants is the one that was meant, whatever his name is later, and nobody after him."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.access.people import ACCOUNT, Person, allow, document, role, unique
from whole_server import WholeServer

ASSUMING = allow("sts:AssumeRole")


class Named(Person):
    """May assume a role whose trust names him, decrypt and encrypt with a key whose policy and grant do."""

    def __init__(self, server: WholeServer) -> None:
        super().__init__(server, ASSUMING)
        kms = server.client("kms")
        self.id = self.iam.get_user(UserName=self.name)["User"]["UserId"]
        self.role = role(server, trusted={"AWS": [self.arn]})
        self.key = kms.create_key()["KeyMetadata"]["KeyId"]
        policy = json.loads(kms.get_key_policy(KeyId=self.key)["Policy"])
        policy["Statement"].append(allow("kms:Encrypt", Principal={"AWS": self.arn}))
        escaped = json.dumps(policy).replace(self.name, f"\\u{ord(self.name[0]):04x}{self.name[1:]}")
        kms.put_key_policy(KeyId=self.key, Policy=escaped)
        kms.create_grant(
            KeyId=self.key, GranteePrincipal=self.arn, RetiringPrincipal=self.arn, Operations=["GenerateDataKey"]
        )

    def comes_in(self, keys: tuple[str, str]) -> list[bool]:
        """By the trust policy, the key policy, the grant."""
        self.keys = keys
        kms = self.client("kms")
        works: list[tuple[Any, dict[str, Any]]] = [
            (self.client("sts").assume_role, {"RoleArn": self.role, "RoleSessionName": "me"}),
            (kms.encrypt, {"KeyId": self.key, "Plaintext": b"x"}),
            (kms.generate_data_key, {"KeyId": self.key, "KeySpec": "AES_256"}),
        ]
        found = []
        for work, given in works:
            try:
                found.append(bool(work(**given)))
            except work.__self__.exceptions.ClientError as error:
                assert error.response["Error"]["Code"].startswith("AccessDenied")
                found.append(False)
        return found

    def named(self) -> list[str]:
        kms = self.server.client("kms")
        trust = self.iam.get_role(RoleName=self.role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
        policy = json.loads(kms.get_key_policy(KeyId=self.key)["Policy"])
        grant = kms.list_grants(KeyId=self.key)["Grants"][0]
        principals = [each["Statement"][-1]["Principal"]["AWS"] for each in (trust, policy)]
        return [*principals[0], principals[1], grant["GranteePrincipal"], grant["RetiringPrincipal"]]


@pytest.fixture
def person(server: WholeServer) -> Named:
    return Named(server)


def delete(person: Person, name: str) -> None:
    person.iam.delete_access_key(UserName=name, AccessKeyId=person.keys[0])
    person.iam.delete_user_policy(UserName=name, PolicyName="own")
    person.iam.delete_user(UserName=name)


def test_it_follows_him_to_his_new_name(person: Named) -> None:
    assert person.named() == [person.arn] * 4 and all(person.comes_in(person.keys))
    new = unique("renamed")
    person.iam.update_user(UserName=person.name, NewUserName=new, NewPath="/p/")
    assert person.named() == [person.iam.get_user(UserName=new)["User"]["Arn"]] * 4
    assert all(person.comes_in(person.keys))
    next_one = Person(person.server, ASSUMING)
    person.iam.update_user(UserName=next_one.name, NewUserName=person.name)
    assert not any(person.comes_in(next_one.keys))


@pytest.mark.parametrize("by_renaming", [False, True])
def test_nobody_comes_in_by_the_name_of_one_who_is_gone(person: Named, by_renaming: bool) -> None:
    delete(person, person.name)
    assert person.named() == [person.id] * 4
    next_one = Person(person.server, ASSUMING)
    if by_renaming:
        person.iam.update_user(UserName=next_one.name, NewUserName=person.name)
    else:
        delete(next_one, next_one.name)
        person.iam.create_user(UserName=person.name)
        person.may(ASSUMING)
        key = person.iam.create_access_key(UserName=person.name)["AccessKey"]
        next_one.keys = (key["AccessKeyId"], key["SecretAccessKey"])
    assert not any(person.comes_in(next_one.keys))


def test_bucket_policies_too(server: WholeServer) -> None:
    s3, person, bucket = server.client("s3"), Person(server), unique("b")
    s3.create_bucket(Bucket=bucket)
    user_id = person.iam.get_user(UserName=person.name)["User"]["UserId"]
    policy = document(allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*", Principal={"AWS": [person.arn]}))
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)

    def named() -> list[str]:
        found: list[str] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"]["AWS"]
        return found

    new = unique("renamed")
    person.iam.update_user(UserName=person.name, NewUserName=new)
    assert named() == [f"arn:aws:iam::{ACCOUNT}:user/{new}"]
    person.iam.delete_access_key(UserName=new, AccessKeyId=person.keys[0])
    person.iam.delete_user(UserName=new)
    assert named() == [user_id]


def test_of_a_role_that_is_made_again(server: WholeServer) -> None:
    iam, user = server.client("iam"), Person(server, ASSUMING)
    inner = role(server, ASSUMING, trusted={"AWS": user.arn})
    name, before = inner.rpartition("/")[2], iam.get_role(RoleName=inner.rpartition("/")[2])["Role"]["RoleId"]
    outer = role(server, trusted={"AWS": inner})
    iam.delete_role_policy(RoleName=name, PolicyName="own")
    iam.delete_role(RoleName=name)
    trust = iam.get_role(RoleName=outer.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"AWS": before}
