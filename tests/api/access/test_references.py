"""Who is named in policies and grants is the one that was meant, whatever his name is later, and nobody after him."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.access.people import ACCOUNT, Person, allow, client, document, refusal, role, unique
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


def test_topic_policies_too(server: WholeServer) -> None:
    sns, person = server.client("sns"), Person(server)
    user_id = person.iam.get_user(UserName=person.name)["User"]["UserId"]
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    policy = document(allow("sns:Publish", on=topic, Principal={"AWS": person.arn}))
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    assert person.client("sns").publish(TopicArn=topic, Message="m")

    def named() -> str:
        policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
        found: str = policy["Statement"][0]["Principal"]["AWS"]
        return found

    new = unique("renamed")
    person.iam.update_user(UserName=person.name, NewUserName=new)
    assert named() == f"arn:aws:iam::{ACCOUNT}:user/{new}" and person.client("sns").publish(TopicArn=topic, Message="m")
    person.iam.delete_access_key(UserName=new, AccessKeyId=person.keys[0])
    person.iam.delete_user(UserName=new)
    assert named() == user_id
    sns.add_permission(TopicArn=topic, Label="more", AWSAccountId=[ACCOUNT], ActionName=["Publish"])
    assert named() == user_id


def test_of_a_role_that_is_made_again(server: WholeServer) -> None:
    iam, user = server.client("iam"), Person(server, ASSUMING)
    inner = role(server, ASSUMING, trusted={"AWS": user.arn})
    name, before = inner.rpartition("/")[2], iam.get_role(RoleName=inner.rpartition("/")[2])["Role"]["RoleId"]
    outer = role(server, trusted={"AWS": inner})
    iam.delete_role_policy(RoleName=name, PolicyName="own")
    iam.delete_role(RoleName=name)
    trust = iam.get_role(RoleName=outer.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"AWS": before}


def test_a_session_is_of_the_role_that_was_meant(server: WholeServer) -> None:
    s3, iam, sts, bucket = *map(server.client, ("s3", "iam", "sts")), unique("b")
    s3.create_bucket(Bucket=bucket)

    def session(arn: str) -> tuple[str, Any]:
        made = sts.assume_role(RoleArn=arn, RoleSessionName="work")
        given = made["Credentials"]
        keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return made["AssumedRoleUser"]["Arn"], client(server, "s3", keys)

    arn = role(server)
    name, session_arn = arn.rpartition("/")[2], session(arn)[0]
    role_id = iam.get_role(RoleName=name)["Role"]["RoleId"]
    letting = allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}", Principal={"AWS": session_arn})
    s3.put_bucket_policy(Bucket=bucket, Policy=document(letting))
    assert session(arn)[1].list_objects_v2(Bucket=bucket)["KeyCount"] == 0

    def named() -> str:
        found: str = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"]["AWS"]
        return found

    assert named() == session_arn
    iam.delete_role(RoleName=name)
    assert named() == f"{role_id}:work"
    trust = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    assert refusal(session(arn)[1].list_objects_v2, Bucket=bucket)[0] == "AccessDenied"


NOBODYS = [
    {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"},
    {"AWS": [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:role/none"]},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:group/all"},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"},
    {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/none/session"},
    {"AWS": "AIDAAAAAAAAAAAAAAAAAA"},
    {"AWS": "somebody"},
    {"Service": "sagemaker"},
    {"CanonicalUser": "me"},
]


@pytest.mark.parametrize("principal", NOBODYS, ids=str)
def test_a_policy_names_nobody_who_is_not_there(server: WholeServer, principal: dict[str, Any]) -> None:
    s3, iam, kms, bucket = *map(server.client, ("s3", "iam", "kms")), unique("b")
    (kind, names), *_ = principal.items()
    name = names[-1] if isinstance(names, list) else names
    trust = document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    words = f'Invalid principal in policy: "{kind.upper()}":"{name}"'
    malformed = ("MalformedPolicyDocument", 400, words)
    assert refusal(iam.create_role, RoleName=unique("r"), AssumeRolePolicyDocument=trust) == malformed
    kept = role(server).rpartition("/")[2]
    assert refusal(iam.update_assume_role_policy, RoleName=kept, PolicyDocument=trust) == malformed
    s3.create_bucket(Bucket=bucket)
    policy = document(allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*", Principal=principal))
    refused = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=policy)
    assert refused == ("MalformedPolicy", 400, "Invalid principal in policy")
    sns = server.client("sns")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    policy = document(allow("sns:Publish", on=topic, Principal=principal))
    code, _, told = refusal(sns.set_topic_attributes, TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    assert (code, told) == ("InvalidParameter", "Invalid parameter: Policy Error: PrincipalNotFound")
    root = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    policy = document(root, allow("kms:Encrypt", Principal=principal))
    assert refusal(kms.create_key, Policy=policy) == (
        *("MalformedPolicyDocumentException", 400),
        "Policy contains a statement with one or more invalid principals.",
    )


def test_a_grant_to_somebody_who_is_not_there_is_for_nobody_later(server: WholeServer) -> None:
    kms, name = server.client("kms"), unique("later")
    key, arn = kms.create_key()["KeyMetadata"]["KeyId"], f"arn:aws:iam::{ACCOUNT}:user/{name}"
    kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
    person = Person(server)
    person.iam.update_user(UserName=person.name, NewUserName=name)
    assert refusal(person.client("kms").encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    assert kms.list_grants(KeyId=key)["Grants"][0]["GranteePrincipal"] == arn
