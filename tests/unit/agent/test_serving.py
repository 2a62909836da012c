"""Serving instances: model in place, health, stop, time-out."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
import time
from pathlib import Path

from agent_world import World
from clary.agent.serving import ping


def _model(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_an_endpoint_becomes_healthy_answers_and_stops(here: World) -> None:
    here.s3.buckets["models"] = {"m.tar.gz": _model(answer_txt=b"forty-two")}
    program = """
try:
    open("model/new", "w")
except OSError as error:
    print("model:", error.strerror, flush=True)
"""
    spec = here.spec(purpose="serving", model_data="s3://models/m.tar.gz", environment={"MODEL_PROGRAM": program})
    here.compute.launch(spec)
    seen = here.wait(spec.id, lambda seen: seen.healthy)
    assert seen.state == "running"
    assert ping(Path(seen.address))
    if here.compute.observe(spec.id).state == "running" and "NOT isolated" not in str(here.lines(spec.id)):
        assert "model: Read-only file system" in here.wait_line(spec.id, "model:")
    here.compute.stop(spec.id)
    seen = here.wait(spec.id, lambda seen: seen.state == "exited")
    assert seen.exit is not None and seen.exit.cause == "stopped"
    assert not seen.healthy


def test_a_server_that_never_answers_fails_after_the_startup_timeout(here: World) -> None:
    program = "import time; time.sleep(600)"
    spec = here.spec(purpose="serving", startup_timeout=0.5, environment={"MODEL_PROGRAM": program})
    record = here.run(spec).exit
    assert record is not None and record.cause == "failed"
    assert "did not pass the ping health check within 0.5 seconds" in record.failure


def test_a_server_that_exits_fails_with_its_code(here: World) -> None:
    spec = here.spec(purpose="serving", environment={"MODEL_PROGRAM": "raise SystemExit(7)"})
    record = here.run(spec).exit
    assert record is not None
    assert (record.cause, record.exit_code, record.failure) == ("failed", 7, "AlgorithmError: , exit code: 7")


def test_a_model_that_is_no_archive_is_the_clients_error(here: World) -> None:
    here.s3.buckets["models2"] = {"m.tar.gz": b"not an archive"}
    record = here.run(here.spec(purpose="serving", model_data="s3://models2/m.tar.gz")).exit
    assert record is not None
    assert record.failure.startswith("ClientError: Failed to extract model data archive from s3://models2/m.tar.gz")


def test_a_ping_that_is_answered_byte_by_byte_is_given_up_as_a_whole(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    ended = threading.Event()

    def dribble() -> None:
        connection, _ = listening.accept()
        with connection:
            for each in b"HTTP/1.1 200 OK":
                if ended.wait(0.5):
                    break
                connection.send(bytes([each]))

    server = threading.Thread(target=dribble)
    server.start()
    began = time.monotonic()
    assert not ping(tmp_path / "s")
    assert time.monotonic() - began < 4
    ended.set()
    server.join()
    listening.close()
