"""InvokeEndpoint with real boto3, through a real edge, to model servers on unix sockets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .conftest import ACCOUNT, KEY, SECRET, EdgeProcess, ModelServer, Plane, http

Model = Callable[..., ModelServer]


def client(edge: EdgeProcess, key: str = KEY, secret: str = SECRET) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        region_name="eu-west-1",
        endpoint_url=edge.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response


def test_the_contract_headers_go_through_and_others_do_not(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    server = model(lambda _, body: http("200 OK", body[::-1], "Content-Type: text/csv", "X-Own: secret",
                                        "X-Amzn-SageMaker-Custom-Attributes: c=d"))  # fmt: skip
    plane.endpoint("first", server.path)
    answer = client(edge).invoke_endpoint(
        EndpointName="first", Body=b"1,2", ContentType="text/csv", Accept="*/*", CustomAttributes="a=b",
        TargetModel="m.tar.gz", InferenceId="i-1", SessionId="s-1",
    )  # fmt: skip
    assert answer["Body"].read() == b"2,1"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "c=d"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert "x-own" not in headers
    assert len(headers["x-amzn-requestid"]) == 36
    head, body = server.seen[0]
    names = {line.split(b":")[0].lower() for line in head.splitlines()[1:]}
    assert head.startswith(b"POST /invocations HTTP/1.1\r\n")
    assert body == b"1,2"
    assert names == {
        b"host", b"content-length", b"content-type", b"accept", b"x-amzn-sagemaker-custom-attributes",
        b"x-amzn-sagemaker-target-model", b"x-amzn-sagemaker-inference-id", b"x-amzn-sagemaker-session-id",
    }  # fmt: skip


def test_keys_routes_and_connections_are_kept(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    server = model(lambda *_: http("200 OK", b"x"))
    plane.endpoint("kept", server.path)
    runtime = client(edge)
    runtime.invoke_endpoint(EndpointName="kept", Body=b"1")
    asked, begin = len(plane.asked), time.monotonic()
    for _ in range(20):
        runtime.invoke_endpoint(EndpointName="kept", Body=b"1")
    # What is known is good for a second: the credential, the permit, the route. Without that it were 60.
    assert len(plane.asked) - asked <= min(50, 4 + 3 * (time.monotonic() - begin))
    assert server.connections == 1


@pytest.mark.parametrize(("status", "side"), [(500, "server"), (418, "client")])
def test_a_models_error_is_a_model_error(edge: EdgeProcess, plane: Plane, model: Model, status: int, side: str) -> None:
    plane.endpoint(f"bad{status}", model(lambda *_: http(f"{status} Bad", b"it broke")).path)
    answer = refused(lambda: client(edge).invoke_endpoint(EndpointName=f"bad{status}", Body=b"1"))
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["Error"]["Message"].startswith(
        f'Received {side} error ({status}) from primary with message "it broke". See https://eu-west-1.console'
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (status, "it broke")
    assert answer["LogStreamArn"].startswith(
        f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/bad{status}"
    )


@pytest.mark.parametrize(
    ("raw", "code", "status"),
    [
        (http("503 Busy"), "ServiceUnavailable", 503),
        (http("429 Later"), "ModelNotReadyException", 429),
        (None, "ModelError", 424),
        (b"garbage\r\n\r\n", "ModelError", 424),
        (http("200 OK", b"x" * 1_000_001), "ModelError", 424),
    ],
)
def test_other_ends_of_a_model(
    edge: EdgeProcess, plane: Plane, model: Model, raw: bytes | None, code: str, status: int
) -> None:
    name = f"ends-{len(plane.routes)}"  # an edge may know an endpoint's instances a second longer than they live
    plane.endpoint(name, model(lambda *_: raw).path)
    answer = refused(lambda: client(edge).invoke_endpoint(EndpointName=name, Body=b"1"))
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


def test_chunked_and_close_delimited_answers(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    first = model(lambda *_: chunked, "a.sock")
    plane.endpoint("chunked", first.path)
    assert client(edge).invoke_endpoint(EndpointName="chunked", Body=b"1")["Body"].read() == b"ab"


def test_a_slow_model_times_out(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    release = threading.Event()
    plane.endpoint("slow", model(lambda *_: release.wait(20) and None).path, timeout=0.3)
    answer = refused(lambda: client(edge).invoke_endpoint(EndpointName="slow", Body=b"1"))
    release.set()
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 0)
    assert "timed out while waiting for a response from container" in answer["Error"]["Message"]


def test_who_may_not(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    server = model(lambda *_: http("200 OK"))
    plane.endpoint("mine", server.path)
    wrong = refused(lambda: client(edge, secret="wrong").invoke_endpoint(EndpointName="mine", Body=b"1"))
    unknown = refused(lambda: client(edge, key="AKIANOBODY").invoke_endpoint(EndpointName="mine", Body=b"1"))
    assert (wrong["Error"]["Code"], wrong["ResponseMetadata"]["HTTPStatusCode"]) == ("InvalidSignatureException", 403)
    assert (unknown["Error"]["Code"], unknown["ResponseMetadata"]["HTTPStatusCode"]) == (
        "UnrecognizedClientException",
        403,
    )
    assert server.seen == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"EndpointName": "nowhere"}, f"Endpoint nowhere of account {ACCOUNT} not found."),
        ({"EndpointName": "-x"}, "1 validation error detected: Value '-x' at 'endpointName' failed"),
        ({"TargetVariant": "other"}, "Variant other of endpoint there-"),
        ({"TargetContainerHostname": "c"}, "InvokeEndpoint: x-amzn-sagemaker-target-container"),
    ],
)
def test_what_is_not_there(edge: EdgeProcess, plane: Plane, model: Model, given: dict[str, str], message: str) -> None:
    name = f"there-{len(plane.routes)}"
    plane.endpoint(name, model(lambda *_: http("200 OK")).path)
    answer = refused(lambda: client(edge).invoke_endpoint(**{"EndpointName": name, "Body": b"1", **given}))
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ValidationError", 400)
    assert answer["Error"]["Message"].startswith(message)


def test_an_endpoint_answers_as_soon_as_it_is_in_service(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    runtime = client(edge)
    plane.endpoint("soon", model(lambda *_: http("200 OK", b"here")).path)
    plane.routes["soon"]["status"] = "Creating"
    refused(lambda: runtime.invoke_endpoint(EndpointName="soon", Body=b"1"))
    plane.routes["soon"]["status"] = "InService"
    assert runtime.invoke_endpoint(EndpointName="soon", Body=b"1")["Body"].read() == b"here"


def test_a_payload_over_the_limit(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    plane.endpoint("large", model(lambda _, body: http("200 OK", b"%d" % len(body))).path)
    runtime = client(edge)
    assert runtime.invoke_endpoint(EndpointName="large", Body=b"x" * 1_000_000)["Body"].read() == b"1000000"
    answer = refused(lambda: runtime.invoke_endpoint(EndpointName="large", Body=b"x" * 1_000_001))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_dead_instance_is_passed_over(edge: EdgeProcess, plane: Plane, model: Model, tmp_path: Path) -> None:
    alive = model(lambda *_: http("200 OK", b"alive"), "alive.sock")
    plane.endpoint("half", tmp_path / "nobody.sock", alive.path)
    for _ in range(3):
        assert client(edge).invoke_endpoint(EndpointName="half", Body=b"1")["Body"].read() == b"alive"
    plane.endpoint("dead", tmp_path / "nobody.sock")
    answer = refused(lambda: client(edge).invoke_endpoint(EndpointName="dead", Body=b"1"))
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)


def test_a_link_in_the_place_of_a_socket_is_not_followed(
    edge: EdgeProcess, plane: Plane, model: Model, tmp_path: Path
) -> None:
    other = model(lambda *_: http("200 OK", b"not for this endpoint"))
    link = tmp_path / "link.sock"
    link.symlink_to(other.path)
    plane.endpoint("linked", link)
    answer = refused(lambda: client(edge).invoke_endpoint(EndpointName="linked", Body=b"1"))
    assert (answer["Error"]["Code"], other.seen) == ("ServiceUnavailable", [])


def test_a_sent_request_is_never_sent_again(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    servers = [model(lambda *_: None, f"{number}.sock") for number in range(2)]
    plane.endpoint("once", *(each.path for each in servers))
    refused(lambda: client(edge).invoke_endpoint(EndpointName="once", Body=b"1"))
    assert sum(len(each.seen) for each in servers) == 1


def test_concurrency_is_bounded_and_load_is_spread(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    lock, running, most = threading.Lock(), [0], [0]
    full = threading.Semaphore(0)

    def answer(*_: bytes) -> bytes:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        full.release()
        if running[0] < 4:  # until both instances are full
            full.acquire(timeout=0.2)
        with lock:
            running[0] -= 1
        return http("200 OK", b"x")

    servers = [model(answer, f"{number}.sock") for number in range(2)]
    plane.endpoint("spread", *(each.path for each in servers), concurrency=2)
    runtime = client(edge)
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(runtime.invoke_endpoint, EndpointName="spread", Body=b"1") for _ in range(40)]
        assert all(each.result()["Body"].read() == b"x" for each in calls)
    assert most[0] <= 4
    assert min(len(each.seen) for each in servers) > 5


def test_traffic_is_split_by_weight_and_a_variant_can_be_named(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    paths = [model(lambda *_, n=name: http("200 OK", n), f"{name.decode()}.sock").path for name in (b"a", b"b", b"c")]
    plane.routes["split"] = {
        "variants": [
            {"name": name, "weight": weight, "instances": [str(path)]}
            for name, weight, path in zip("abc", (3, 1, 0), paths, strict=True)
        ]
    }
    runtime = client(edge)
    seen = [runtime.invoke_endpoint(EndpointName="split", Body=b"1")["InvokedProductionVariant"] for _ in range(80)]
    assert seen.count("a") > seen.count("b") > 0
    assert "c" not in seen
    named = runtime.invoke_endpoint(EndpointName="split", Body=b"1", TargetVariant="c")
    assert named["Body"].read() == b"c"


def test_a_changed_route_is_followed_within_seconds(edge: EdgeProcess, plane: Plane, model: Model) -> None:
    old, new = (
        model(lambda *_: http("200 OK", b"old"), "old.sock"),
        model(lambda *_: http("200 OK", b"new"), "new.sock"),
    )
    plane.endpoint("moves", old.path)
    runtime = client(edge)
    assert runtime.invoke_endpoint(EndpointName="moves", Body=b"1")["Body"].read() == b"old"
    plane.endpoint("moves", new.path)
    for _ in range(300):
        if runtime.invoke_endpoint(EndpointName="moves", Body=b"1")["Body"].read() == b"new":
            return
        threading.Event().wait(0.01)
    pytest.fail("the old instance is still asked")


def test_invocations_of_other_kinds_go_to_the_control_plane(edge: EdgeProcess, plane: Plane) -> None:
    from clary.wire.messages import Response

    plane.application = lambda request: Response(501, [], json.dumps({"message": request.target}).encode())
    answer = refused(lambda: client(edge).invoke_endpoint_async(EndpointName="x", InputLocation="s3://b/k"))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
