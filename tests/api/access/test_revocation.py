"""What is taken away from somebody is gone from every process within a second: control plane and edges."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from api.access.people import Person, allow, client, document, role
from whole_server import WholeServer

WITHIN_SECONDS = 1.0


def code(work: Callable[..., Any], **given: Any) -> str:
    """Of the refusal; empty when there is none."""
    try:
        work(**given)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def gone(work: Callable[[], str], refusals: tuple[str, ...], change: Callable[[], object]) -> None:
    """`work` is not refused before the `change`, and always when asked WITHIN_SECONDS after it."""
    assert work() not in refusals
    change()
    end = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < end:
        work()
    assert work() in refusals


def session(server: WholeServer, arn: str) -> Callable[[str], Any]:
    given = server.client("sts").assume_role(RoleArn=arn, RoleSessionName="work")["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return lambda service: client(server, service, keys)


def test_revoked_sessions(server: WholeServer) -> None:
    """As "Revoke active sessions" of the console does it: by the time that sessions were issued at."""
    arn, iam = role(server, allow("*")), server.client("iam")
    old = session(server, arn)
    buckets, runtime = old("s3").list_buckets, old("sagemaker-runtime").invoke_endpoint
    assert code(buckets) == ""
    time_now = datetime.now(UTC)

    def revoke() -> None:
        older = {"DateLessThan": {"aws:TokenIssueTime": time_now.strftime("%Y-%m-%dT%H:%M:%S.999Z")}}
        denying = document({**allow("*", Condition=older), "Effect": "Deny"})
        name = arn.rpartition("/")[2]
        iam.put_role_policy(RoleName=name, PolicyName="AWSRevokeOlderSessions", PolicyDocument=denying)
        assert code(buckets) == "AccessDenied", "in the control plane at once"

    def invoked() -> str:
        return code(runtime, EndpointName="none", Body=b"1")

    gone(invoked, ("AccessDeniedException",), revoke)
    assert code(session(server, arn)("s3").list_buckets) == "", "sessions that begin later are as good as ever"


def test_keys_that_are_made_inactive(server: WholeServer) -> None:
    person = Person(server, allow("*"))
    runtime, buckets = person.client("sagemaker-runtime").invoke_endpoint, person.client("s3").list_buckets

    def invoked() -> str:
        return code(runtime, EndpointName="none", Body=b"1")

    def deactivate() -> None:
        person.iam.update_access_key(UserName=person.name, AccessKeyId=person.keys[0], Status="Inactive")
        assert code(buckets) == "InvalidAccessKeyId"

    gone(invoked, ("InvalidClientTokenId", "UnrecognizedClientException"), deactivate)


def test_policies_that_are_taken_away(server: WholeServer) -> None:
    person = Person(server, allow("sagemaker:InvokeEndpoint"))
    runtime = person.client("sagemaker-runtime").invoke_endpoint

    def invoked() -> str:
        return code(runtime, EndpointName="none", Body=b"1")

    def take() -> None:
        person.iam.delete_user_policy(UserName=person.name, PolicyName="own")

    gone(invoked, ("AccessDeniedException",), take)
