"""Every operation of every service, called with parameters made from its model: nobody gets in without a signature or
with a forged one, what is changed after signing is refused, what is not built says so, and what is built never fails
inside."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, create_request_object, prepare_request_dict
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.serialize import create_serializer

from clary.services import tables
from clary.wire.models import SERVICES, TRAITS, Models
from whole_server import WholeServer
from wire.generate import Values

MODELS = Models()
REGION = "us-east-1"
AT_ONCE = 4
ROUNDS = 6
# The same method and path as an operation that is built.
ANSWERED_AS_ANOTHER = {
    *("GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "PutBucketNotification"),
    "ListDirectoryBuckets",
}
# Behind the port, answered by an edge and not by an operation of the tables.
AT_THE_EDGE = {("sagemaker-runtime", "InvokeEndpoint")}


class Raw:
    """Sends operations as a client would that checks nothing. `keys` None leaves the signature out; `forged` signs with
    another secret; `changed` adds a byte to what was signed."""

    def __init__(self, server: WholeServer, signed: bool, forged: bool = False, changed: bool = False) -> None:
        self.port = server.port
        self.changed = changed
        given = server.keys()
        secret = given["AWS_SECRET_ACCESS_KEY"]
        keys = Credentials(given["AWS_ACCESS_KEY_ID"], secret[::-1] if forged else secret)
        self.keys = keys if signed else None

    def send(self, operation: OperationModel, parameters: dict[str, Any]) -> tuple[int, bytes]:
        service = operation.service_model.service_name
        serializer = create_serializer(TRAITS[service].protocols[0], include_validation=False)
        document = serializer.serialize_to_request(parameters, operation)
        host = f"{TRAITS[service].host}.{REGION}.amazonaws.com"
        prepare_request_dict(document, endpoint_url=f"http://{host}")
        request = create_request_object(document)
        request.headers["Host"] = host
        if service == "s3control" and "x-amz-account-id" not in request.headers:
            request.headers["x-amz-account-id"] = "123456789012"
        if self.keys:
            self._sign(request, TRAITS[service].scope)
        if self.changed:
            request.data = _bytes(request) + b" "
        return self._exchange(request.prepare())

    def _sign(self, request: AWSRequest, scope: str) -> None:
        if "X-Amz-Content-SHA256" not in request.headers and scope == "s3":
            payload = hashlib.sha256(_bytes(request)).hexdigest() if self.changed else "UNSIGNED-PAYLOAD"
            request.headers["X-Amz-Content-SHA256"] = payload
        (S3SigV4Auth if scope == "s3" else SigV4Auth)(self.keys, scope, REGION).add_auth(request)

    def _exchange(self, request: AWSPreparedRequest) -> tuple[int, bytes]:
        parts = urlsplit(request.url)
        headers = {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(request.method, target, request.body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def operations(service: str) -> Iterator[OperationModel]:
    model = MODELS.service(service)
    return (model.operation_model(name) for name in model.operation_names)


def _bytes(request: AWSRequest) -> bytes:
    body = request.prepare().body or b""
    return body.encode() if isinstance(body, str) else bytes(body)


def built(operation: OperationModel) -> bool:
    service = operation.service_model.service_name
    table = tables.OPERATIONS.get(service)
    return bool(table and table.find(operation.name)) or (service, operation.name) in AT_THE_EDGE


# Members that name something: half of the calls name what is really there, so that they reach further.
THERE = {
    "Bucket": "sweep",
    "Key": "there",
    "RoleName": "sweep",
    "UserName": "sweep",
    "KeyId": "alias/sweep",
    "logGroupName": "sweep",
    "logStreamName": "sweep",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:sweep",
    "ModelName": "sweep",
    "EndpointConfigName": "sweep",
    "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/sweep",
}


def sweep(
    raw: Raw, wanted: Iterable[OperationModel], rounds: int, fair: Callable[[int, bytes], bool]
) -> list[tuple[Any, ...]]:
    """The calls whose answer is not `fair`."""

    def call(task: tuple[OperationModel, int]) -> tuple[Any, ...] | None:
        operation, seed = task
        parameters = Values(seed).of(operation.input_shape) if operation.input_shape else {}
        if seed % 2:
            parameters |= {name: text for name, text in THERE.items() if name in parameters}
        status, body = raw.send(operation, parameters)
        if fair(status, body):
            return None
        return operation.service_model.service_name, operation.name, seed, status, body[:300], parameters

    tasks = [(operation, seed) for operation in wanted for seed in range(rounds)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [each for each in pool.map(call, tasks) if each is not None]


def make(create: Callable[..., Any], **given: Any) -> None:
    """Unless another sweep has made it."""
    try:
        create(**given)
    except ClientError as error:
        if "exist" not in str(error):
            raise


@pytest.fixture(scope="session")
def furnished(server: WholeServer) -> WholeServer:
    """One of each thing in THERE."""
    s3, iam, kms, logs, sagemaker = map(server.client, ("s3", "iam", "kms", "logs", "sagemaker"))
    server.client("sns").create_topic(Name="sweep")
    make(s3.create_bucket, Bucket="sweep")
    s3.put_object(Bucket="sweep", Key="there", Body=b"something")
    make(iam.create_user, UserName="sweep")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    make(iam.create_role, RoleName="sweep", AssumeRolePolicyDocument=document)
    role = iam.get_role(RoleName="sweep")["Role"]["Arn"]
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    make(kms.create_alias, AliasName="alias/sweep", TargetKeyId=key)
    make(logs.create_log_group, logGroupName="sweep")
    make(logs.create_log_stream, logGroupName="sweep", logStreamName="sweep")
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    container = {"Image": image, "ModelDataUrl": "s3://sweep/model.tar.gz"}
    make(sagemaker.create_model, ModelName="sweep", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": "sweep", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    make(sagemaker.create_endpoint_config, EndpointConfigName="sweep", ProductionVariants=[variant])
    return server


def refused(status: int, body: bytes) -> bool:
    """That there is no such bucket is told to everybody, as names of buckets are shared by all (HEAD has no body)."""
    return status == 403 or (status == 404 and (not body or b"NoSuchBucket" in body))


def unproven(status: int, body: bytes) -> bool:
    """As `refused`, or that the bytes are others. S3 reads a body late, so that something else may be told before
    it: but never that it was done."""
    if b"<Code>XAmzContentSHA256Mismatch</Code>" in body or refused(status, body):
        return True
    return b"<HostId>" in body and status >= 400 and answered(status, body)


def takes_a_body(operation: OperationModel) -> bool:
    shape = operation.input_shape
    if operation.http["method"] in ("GET", "HEAD", "DELETE") or shape is None:
        return False
    places = [member.serialization.get("location") for member in shape.members.values()]
    return not TRAITS[operation.service_model.service_name].protocols[0].startswith("rest") or None in places


def not_built(status: int, body: bytes) -> bool:
    return status == 501 and b"NotImplemented" in body


def answered(status: int, body: bytes) -> bool:
    """Whatever it is, it is not a failure of ours: an option may be one that is not built."""
    return status < 500 or (status == 501 and (not body or b"NotImplemented" in body or b"not built" in body))


def brings_its_proof(operation: OperationModel) -> bool:
    """A token, or what a link says: there is no signature to miss."""
    return operation.auth_type == "none" or operation.name in TRAITS[operation.service_model.service_name].links


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_without_a_signature_gets_in(server: WholeServer, service: str) -> None:
    proven = (each for each in operations(service) if not brings_its_proof(each))
    assert not sweep(Raw(server, signed=False), proven, 1, refused)


@pytest.mark.parametrize("service", SERVICES)
def test_a_forged_signature_opens_nothing(server: WholeServer, service: str) -> None:
    proven = (each for each in operations(service) if not brings_its_proof(each))
    assert not sweep(Raw(server, signed=True, forged=True), proven, 1, refused)


@pytest.mark.parametrize("service", SERVICES)
def test_what_was_changed_after_signing_is_refused(furnished: WholeServer, service: str) -> None:
    written = (each for each in operations(service) if built(each) and takes_a_body(each))
    writing = (each for each in written if not brings_its_proof(each))
    assert not sweep(Raw(furnished, signed=True, changed=True), writing, 2, unproven)


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_not_built_says_so(server: WholeServer, service: str) -> None:
    wanted = (each for each in operations(service) if not built(each) and each.name not in ANSWERED_AS_ANOTHER)
    assert not sweep(Raw(server, signed=True), wanted, 1, not_built)


@pytest.mark.parametrize("service", [*tables.OPERATIONS, "sagemaker-runtime"])
def test_what_is_built_never_fails_inside(furnished: WholeServer, service: str) -> None:
    wanted = (each for each in operations(service) if built(each) and not each.name.startswith("Delete"))
    assert not sweep(Raw(furnished, signed=True), wanted, ROUNDS, answered)
    assert "Traceback" not in (furnished.home / "logs" / "control.log").read_text()
