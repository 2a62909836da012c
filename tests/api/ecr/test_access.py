"""Who may what: policies of people and of repositories, for the API and for the registry alike."""

from __future__ import annotations

import json
from typing import Any

from api.access.people import Person, allow, client, refusal, role
from api.ecr.conftest import OTHER, token_of
from api.ecr.registry import OCI_IMAGE, Registry, digest
from whole_server import WholeServer

ACCOUNT = "123456789012"
TOKEN = allow("ecr:GetAuthorizationToken")
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def arn(repository: str) -> str:
    return f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository}"


def registry_of(server: WholeServer, person: Person) -> Registry:
    return Registry(server.port, token_of(person.client("ecr")))


def statuses(registry: Registry, repository: str) -> dict[str, int]:
    path = f"/v2/{repository}"
    asked = {
        "pull": ("GET", "manifests/v1", b""),
        "layer": ("GET", f"blobs/{digest(b'layer')}", b""),
        "list": ("GET", "tags/list", b""),
        "upload": ("POST", "blobs/uploads/", b""),
        "push": ("PUT", "manifests/v2", registry.ask("GET", f"{path}/manifests/v1").body),
        "delete": ("DELETE", "manifests/v2", b""),
    }
    return {
        name: registry.ask(method, f"{path}/{rest}", body, Content_Type=OCI_IMAGE).status
        for name, (method, rest, body) in asked.items()
    }


def test_each_request_is_allowed_by_its_operations_name(
    server: WholeServer, registry: Registry, repository: str
) -> None:
    registry.push(repository, "v1", b"layer")
    nobody = registry_of(server, Person(server, TOKEN))
    assert set(statuses(nobody, repository).values()) == {403}
    answer = nobody.ask("GET", f"/v2/{repository}/tags/list")
    assert answer.code == "DENIED"
    assert f"is not authorized to perform: ecr:ListImages on resource: {arn(repository)}" in answer.body.decode()
    puller = registry_of(server, Person(server, TOKEN, allow(*PULL, on=arn(repository))))
    assert statuses(puller, repository) == {
        **dict.fromkeys(("pull", "layer"), 200),
        **dict.fromkeys(("list", "upload", "push", "delete"), 403),
    }
    assert puller.ask("GET", "/v2/elsewhere/app/manifests/v1").status == 403


def test_a_layer_is_not_taken_from_where_one_may_not_read(
    server: WholeServer, registry: Registry, repository: str, ecr: Any
) -> None:
    mine = f"{repository}-mine"
    ecr.create_repository(repositoryName=mine)
    registry.push_layer(repository, b"secret layer")
    pusher = registry_of(server, Person(server, TOKEN, allow("ecr:*", on=arn(mine))))
    path = f"/v2/{mine}/blobs/uploads/?mount={digest(b'secret layer')}&from={repository}"
    assert pusher.ask("POST", path).status == 202
    assert pusher.ask("HEAD", f"/v2/{mine}/blobs/{digest(b'secret layer')}").status == 404
    assert registry.ask("POST", path).status == 201
    ecr.delete_repository(repositoryName=mine)


def test_a_layer_is_not_taken_from_where_tags_forbid_it(
    server: WholeServer, registry: Registry, repository: str, ecr: Any
) -> None:
    mine = f"{repository}-mine"
    ecr.create_repository(repositoryName=mine)
    ecr.tag_resource(resourceArn=arn(repository), tags=[{"Key": "secret", "Value": "yes"}])
    registry.push_layer(repository, b"secret layer")
    tagged = {"StringEquals": {"aws:ResourceTag/secret": "yes"}}
    denial = {**allow("ecr:*"), "Effect": "Deny", "Condition": tagged}
    pusher = registry_of(server, Person(server, TOKEN, allow("ecr:*"), denial))
    layer = digest(b"secret layer")
    assert pusher.ask("GET", f"/v2/{repository}/blobs/{layer}").status == 403
    assert pusher.ask("POST", f"/v2/{mine}/blobs/uploads/?mount={layer}&from={repository}").status == 202
    assert pusher.ask("HEAD", f"/v2/{mine}/blobs/{layer}").status == 404
    ecr.delete_repository(repositoryName=mine)


def test_a_token_ends_with_its_key(server: WholeServer, repository: str) -> None:
    person = Person(server, TOKEN, allow("ecr:*"))
    registry = registry_of(server, person)
    assert registry.ask("GET", f"/v2/{repository}/tags/list").status == 200
    person.iam.update_access_key(UserName=person.name, AccessKeyId=person.keys[0], Status="Inactive")
    assert registry.ask("GET", f"/v2/{repository}/tags/list").status == 401


def test_a_token_of_a_session_ends_with_it(server: WholeServer, repository: str) -> None:
    assumed = server.client("sts").assume_role(
        RoleArn=role(server, TOKEN, allow("ecr:*")), RoleSessionName="me", DurationSeconds=900
    )["Credentials"]
    keys = (assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    given = client(server, "ecr", keys).get_authorization_token()["authorizationData"][0]
    assert abs((given["expiresAt"] - assumed["Expiration"]).total_seconds()) < 2
    assert given["proxyEndpoint"] == server.url
    registry = Registry(server.port, given["authorizationToken"])
    assert registry.ask("GET", f"/v2/{repository}/tags/list").status == 200


def test_a_policy_of_the_repository_lets_somebody_in(server: WholeServer, ecr: Any, repository: str) -> None:
    person = Person(server, TOKEN)
    statement = {"Effect": "Allow", "Principal": {"AWS": person.arn}, "Action": "ecr:ListImages"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    ecr.set_repository_policy(repositoryName=repository, policyText=policy)
    assert json.loads(ecr.get_repository_policy(repositoryName=repository)["policyText"]) == json.loads(policy)
    assert person.client("ecr").list_images(repositoryName=repository)["imageIds"] == []
    assert registry_of(server, person).ask("GET", f"/v2/{repository}/tags/list").status == 200
    ecr.set_repository_policy(repositoryName=repository, policyText=policy.replace("Allow", "Deny"))
    person.may(allow("ecr:*"))
    assert refusal(person.client("ecr").list_images, repositoryName=repository)[0] == "AccessDeniedException"


def test_accounts_have_registries_of_their_own(
    server: WholeServer, other: Any, ecr: Any, registry: Registry, repository: str
) -> None:
    registry.push(repository, "v1", b"layer")
    theirs = Registry(server.port, token_of(other))
    assert theirs.ask("GET", f"/v2/{repository}/manifests/v1").code == "NAME_UNKNOWN"
    host = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    assert theirs.ask("GET", f"/v2/{host}/{repository}/manifests/v1").code == "DENIED"
    named: dict[str, Any] = {"registryId": ACCOUNT, "repositoryName": repository}
    assert refusal(other.list_images, **named)[0] == "AccessDeniedException"
    assert refusal(other.describe_repositories, registryId=ACCOUNT)[0] == "AccessDeniedException"
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": [*PULL, "ecr:DescribeRepositories"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    ecr.set_repository_policy(repositoryName=repository, policyText=policy)
    assert theirs.ask("GET", f"/v2/{host}/{repository}/manifests/v1").status == 200
    shown = other.describe_repositories(registryId=ACCOUNT, repositoryNames=[repository])["repositories"][0]
    assert shown["repositoryUri"] == f"127.0.0.1:{server.port}/{host}/{repository}"
    assert refusal(other.list_images, **named)[0] == "AccessDeniedException"
