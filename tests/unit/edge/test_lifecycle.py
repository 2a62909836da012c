"""The edge through restarts of the control plane, and at its own end."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from clary.config import Settings
from clary.server import run_folders
from clary.wire.messages import Request, Response

from .conftest import EdgeProcess, ModelServer, Plane
from .conftest import http as http_answer
from .test_gateway import client, refused


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Plane, EdgeProcess]]:
    """A control plane and an edge that a test may end."""
    settings = Settings.load({}, home=tmp_path)
    run_folders.make(settings)
    plane, edge = Plane(settings.run / "control.sock"), EdgeProcess(tmp_path)
    plane.start()
    yield plane, edge
    edge.stop()
    plane.stop()


def get(edge: EdgeProcess, path: str = "/", method: str = "GET") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    connection.request(method, path)
    return connection.getresponse()


def test_requests_wait_for_a_control_plane_that_comes_back(own: tuple[Plane, EdgeProcess]) -> None:
    plane, edge = own
    assert get(edge).status == 200
    plane.stop()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(get, edge) for _ in range(4)]
        time.sleep(0.3)  # they are at the edge by now; an edge that does not wait has answered
        assert not any(each.done() for each in waiting)
        plane.start()
        assert [each.result().status for each in waiting] == [200] * 4


def test_a_control_plane_that_stays_away_is_a_503(own: tuple[Plane, EdgeProcess]) -> None:
    plane, edge = own
    plane.stop()
    began = time.monotonic()
    runtime = client(edge, key="AKIAUNKNOWN")
    with ThreadPoolExecutor(1) as pool:
        unknown = pool.submit(refused, lambda: runtime.invoke_endpoint(EndpointName="any", Body=b"1"))
        answer = get(edge)
    assert answer.status == 503
    assert b"<Code>ServiceUnavailable</Code>" in answer.read()
    assert unknown.result()["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert 8 < time.monotonic() - began < 15


def test_the_first_request_after_a_crash_takes_no_link_of_before(own: tuple[Plane, EdgeProcess]) -> None:
    """The edge hears of the request and then, at once, of the loss of its links: it sleeps meanwhile."""
    plane, edge = own
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    for _ in range(3):
        connection.request("POST", "/", b"awake")
        assert connection.getresponse().read()
        edge.process.send_signal(signal.SIGSTOP)
        connection.request("POST", "/", b"asleep")
        plane.stop()
        plane.start()
        edge.process.send_signal(signal.SIGCONT)
        assert connection.getresponse().read()[-8:] == b'asleep"}'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/read", 200), ("HEAD", "/read", 200), ("POST", "/write", 503), ("GET", "/?Action=x", 503)],
)
def test_only_a_read_is_handed_over_again(own: tuple[Plane, EdgeProcess], method: str, path: str, status: int) -> None:
    plane, edge = own
    served: list[str] = []
    arrived = threading.Event()

    def hang(request: Request) -> Response:
        served.append(request.target)
        arrived.set()
        threading.Event().wait(2)
        return Response(200)

    plane.application = hang
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, edge, path, method)
        assert arrived.wait(10)
        plane.application = lambda request: (served.append(request.target), Response(200))[1]
        plane.stop()
        plane.start()
        assert answer.result().status == status
    assert set(served) == {path}
    assert (len(served) > 1) == (status == 200)


def test_invocations_go_on_without_the_control_plane(
    own: tuple[Plane, EdgeProcess], model: Callable[..., ModelServer]
) -> None:
    plane, edge = own
    plane.endpoint("stays", model(lambda *_: http_answer("200 OK", b"here")).path)
    runtime = client(edge)
    assert runtime.invoke_endpoint(EndpointName="stays", Body=b"1")["Body"].read() == b"here"
    plane.stop()
    time.sleep(1.1)  # what the edge knows is no longer fresh
    began = time.monotonic()
    assert runtime.invoke_endpoint(EndpointName="stays", Body=b"1")["Body"].read() == b"here"
    assert time.monotonic() - began < 0.9  # it does not wait for an answer that cannot come


def test_a_session_ends_on_time_even_then(own: tuple[Plane, EdgeProcess], model: Callable[..., ModelServer]) -> None:
    plane, edge = own
    plane.endpoint("session", model(lambda *_: http_answer("200 OK", b"here")).path)
    runtime = client(edge, "AKIASESSION", "s")
    client(edge).invoke_endpoint(EndpointName="session", Body=b"1")  # from here on a busy machine is quick enough too
    ends = time.time() + 4
    plane.keys["AKIASESSION"] = {"secret_key": "s", "session_token": "", "expires": ends}
    runtime.invoke_endpoint(EndpointName="session", Body=b"1")
    plane.stop()
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        while time.time() < ends + 1:
            runtime.invoke_endpoint(EndpointName="session", Body=b"1")


def test_a_key_that_was_taken_back_stops_working(
    own: tuple[Plane, EdgeProcess], model: Callable[..., ModelServer]
) -> None:
    plane, edge = own
    plane.endpoint("taken", model(lambda *_: http_answer("200 OK", b"here")).path)
    runtime = client(edge)
    runtime.invoke_endpoint(EndpointName="taken", Body=b"1")
    plane.keys.clear()
    taken_back = time.monotonic()
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        while time.monotonic() - taken_back < 3:
            runtime.invoke_endpoint(EndpointName="taken", Body=b"1")


def test_at_its_end_running_requests_are_finished(own: tuple[Plane, EdgeProcess]) -> None:
    plane, edge = own
    arrived, release = threading.Event(), threading.Event()

    def slow(_: Request) -> Response:
        arrived.set()
        release.wait(10)
        return Response(200, [], b"done")

    plane.application = slow
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, edge)
        assert arrived.wait(10)
        edge.process.send_signal(signal.SIGTERM)
        release.set()
        response = answer.result()
    assert (response.status, response.read()) == (200, b"done")
    assert edge.process.wait(10) == 0
