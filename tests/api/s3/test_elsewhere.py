"""A whole server whose objects are in another Clary."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from api.s3.faults import refused
from clary.agent.s3 import S3
from clary.clock import SystemClock
from clary.contract.instance import Credentials
from clary.objects.remote.place import IN_PLACE, Place
from clary.objects.remote.store import RemoteStore
from clary.secrets import RootKey
from clary.server import processes
from clary.services.iam.first_start import default_role_arn
from clary.services.s3 import loans, sweep
from clary.services.sts.sessions import open_session
from clary.store.engine import SqliteDatabase
from clary.store.schema import OBJECTS, RECORDS
from other_stores import keys_below, place_in, settings_of
from whole_server import WholeServer, wait_until, whole_server

BUCKET = "mine"
LARGE = 20_000_000


@pytest.fixture(scope="module")
def pair() -> Iterator[SimpleNamespace]:
    """`there`: the other store; `place`: where in it; `here`: the server."""
    with whole_server() as there:
        place = place_in(there)
        with whole_server(**settings_of(place)) as here:
            here.client("s3").create_bucket(Bucket=BUCKET)
            yield SimpleNamespace(there=there, place=place, here=here)


@pytest.fixture
def s3(pair: SimpleNamespace) -> Any:
    return pair.here.client("s3")


def blobs_at_home(server: WholeServer) -> list[Path]:
    return list(server.settings.blobs.glob("??/*"))


def test_bytes_are_there_and_not_here(pair: SimpleNamespace, s3: Any) -> None:
    data = os.urandom(LARGE)
    s3.put_object(Bucket=BUCKET, Key="whole", Body=data)
    assert s3.get_object(Bucket=BUCKET, Key="whole")["Body"].read() == data
    assert (
        s3.get_object(Bucket=BUCKET, Key="whole", Range="bytes=9000000-9000099")["Body"].read() == data[9000000:][:100]
    )
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/whole")
    assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == data
    assert len(_kept(pair.place)) == 2
    assert blobs_at_home(pair.here) == []


def test_parts_and_deletes(pair: SimpleNamespace, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data := os.urandom(LARGE))
    before = len(_kept(pair.place))
    s3.upload_file(str(tmp_path / "file"), BUCKET, "parts", Config=TransferConfig(multipart_chunksize=6 << 20))
    assert len(_kept(pair.place)) == before + 4
    assert s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == data
    assert (
        s3.get_object(Bucket=BUCKET, Key="parts", Range="bytes=6291400-6291500")["Body"].read() == data[6291400:6291501]
    )
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "parts"}]})
    wait_until(lambda: len(_kept(pair.place)) == before, what="deleted parts stay")


def test_encrypted_objects_are_encrypted_there(pair: SimpleNamespace, s3: Any) -> None:
    secret = b"nobody there reads this. " * 10_000
    before = set(keys_below(pair.place))
    s3.put_object(Bucket=BUCKET, Key="secret", Body=secret, ServerSideEncryption="AES256")
    assert s3.get_object(Bucket=BUCKET, Key="secret")["Body"].read() == secret
    assert s3.get_object(Bucket=BUCKET, Key="secret", Range="bytes=100000-100024")["Body"].read() == secret[:25]
    (blob,) = set(keys_below(pair.place)) - before
    there = pair.there.client("s3").get_object(Bucket=pair.place.bucket, Key=blob)["Body"].read()
    assert len(there) > len(secret)
    assert secret[:25] not in there


@pytest.mark.slow
def test_deep_check_and_backup(pair: SimpleNamespace, s3: Any, tmp_path: Path) -> None:
    data = os.urandom(LARGE)
    s3.put_object(Bucket=BUCKET, Key="kept", Body=data)
    s3.put_object(Bucket=BUCKET, Key="lost", Body=data[:100_000])
    found = pair.here.ask("backup", str(tmp_path / "all.tar"))
    assert found["blobs"] == len(_kept(pair.place))
    assert pair.here.clary("restore", str(tmp_path / "all.tar"), "--home", str(tmp_path / "again")).returncode == 0
    again = WholeServer(tmp_path / "again")
    again.up()
    try:
        assert again.client("s3").get_object(Bucket=BUCKET, Key="kept")["Body"].read() == data
    finally:
        again.down()
    _lose(pair, 100_000)
    done = pair.here.clary("doctor", "--deep")
    assert done.returncode == 1
    assert f"s3://{BUCKET}/lost: its bytes are missing" in done.stdout
    with refused("InternalFailure", 500):
        s3.get_object(Bucket=BUCKET, Key="lost")
    s3.delete_object(Bucket=BUCKET, Key="lost")


def _lose(pair: SimpleNamespace, size: int) -> None:
    """Deletes the one blob of that size behind the server's back."""
    there = pair.there.client("s3")
    listed = there.list_objects_v2(Bucket=pair.place.bucket, Prefix=f"{pair.place.prefix}/")["Contents"]
    (key,) = [each["Key"] for each in listed if each["Size"] == size]
    there.delete_object(Bucket=pair.place.bucket, Key=key)


def test_while_it_is_away_the_answer_is_503_and_soon(pair: SimpleNamespace, s3: Any) -> None:
    data = os.urandom(1_000_000)
    s3.put_object(Bucket=BUCKET, Key="before", Body=data)
    pair.there.down()
    begin = time.monotonic()
    for work in (
        lambda: s3.get_object(Bucket=BUCKET, Key="before"),
        lambda: s3.put_object(Bucket=BUCKET, Key="meanwhile", Body=data),
    ):
        with refused("ServiceUnavailable", 503):
            work()
    assert time.monotonic() - begin < 20
    s3.put_object(Bucket=BUCKET, Key="small", Body=b"needs no other store")
    assert s3.head_object(Bucket=BUCKET, Key="before")["ContentLength"] == len(data)
    s3.delete_object(Bucket=BUCKET, Key="before")
    pair.there.up()
    wait_until(lambda: _puts(s3, "after", data), what="it does not come back")
    assert s3.get_object(Bucket=BUCKET, Key="after")["Body"].read() == data
    wait_until(lambda: _kept(pair.place) == _blobs(pair.here), what="a deleted blob stays")


def _puts(s3: Any, key: str, data: bytes) -> bool:
    try:
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
    except ClientError:
        return False
    return True


def _blobs(server: WholeServer) -> set[str]:
    """What the index names."""
    database = SqliteDatabase(str(server.settings.data / "objects.db"), OBJECTS)
    try:
        query = "SELECT blob FROM objects WHERE blob != '' UNION SELECT blob FROM parts"
        return set(database.read(lambda connection: connection.exec_driver_sql(query).scalars().all()))
    finally:
        database.close()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["client", "agent"])
def test_kills_leave_only_what_a_sweep_takes(pair: SimpleNamespace, tmp_path: Path, who: str) -> None:
    """Killed again and again between the other store's word and the index's: what was acknowledged is there. Of what an
    agent writes past the server too, after the round of loans."""
    acknowledged: dict[str, bytes] = {}
    over = threading.Event()
    s3, agent = pair.here.client("s3"), agent_client(pair.here)

    def put(key: str, data: bytes) -> None:
        if who == "client":
            s3.put_object(Bucket=BUCKET, Key=key, Body=data)
            return
        (tmp_path / key).write_bytes(data)
        agent.upload(tmp_path / key, BUCKET, key)

    def write() -> None:
        number = 0
        while not over.is_set():
            key, data = f"killed-{who}-{number}", os.urandom(1_200_000)
            try:
                put(key, data)
            except (ClientError, BotoCoreError):
                continue
            acknowledged[key] = data
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    for kill in range(1, 5):
        wait_until(lambda least=kill * 3: len(acknowledged) >= least, what="nothing is acknowledged any more")
        _kill_control(pair.here)
    over.set()
    writer.join()
    for key, data in acknowledged.items():
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == data
    pair.here.down()
    _sweep(pair)
    wait_until(lambda: _kept(pair.place) == _blobs(pair.here), what="leftovers stay")
    pair.here.up()
    assert all(s3.head_object(Bucket=BUCKET, Key=key) for key in acknowledged)


def _kept(place: Place) -> set[str]:
    """The blobs that are in the other store."""
    return {key.rpartition("/")[2] for key in keys_below(place)} - {IN_PLACE}


def _kill_control(server: WholeServer) -> None:
    found = wait_until(lambda: processes.recorded(server.settings.run / "control.pid"), what="no control plane")
    os.kill(found.pid, signal.SIGKILL)
    wait_until(lambda: _other(server, found.pid), what="it does not come back")


def _other(server: WholeServer, pid: int) -> bool:
    now = processes.recorded(server.settings.run / "control.pid")
    return now is not None and now.pid != pid


def _sweep(pair: SimpleNamespace) -> None:
    store, database = RemoteStore(pair.place), SqliteDatabase(str(pair.here.settings.data / "objects.db"), OBJECTS)
    database.write(lambda connection: loans.forget(connection, loans.older(connection, time.time() + 60)))
    sweep.sweep(store, database, grace=-60)
    store.close()
    database.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objects_bucket": "none-of-that-name"}, "Make the bucket"),
        ({"objects_access_key_id": "AKIAWRONG"}, "Check the keys"),
        ({"objects_secret_access_key": "wrong"}, "Check the keys"),
        ({"objects_secret_access_key": ""}, "needs keys"),
        ({"objects_endpoint": "http://127.0.0.1:1"}, "does not answer"),
        ({"objects_endpoint": "127.0.0.1:1"}, "is not the URL of a server"),
        (
            {"objects_credentials_file": "/dev/null", "objects_access_key_id": "", "objects_secret_access_key": ""},
            "no sec",
        ),
        ({}, "belongs to another home"),
    ],
)
def test_a_start_that_cannot_work_says_why(
    pair: SimpleNamespace, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    server = WholeServer(tmp_path / "home")
    given = {f"CLARY_{name.upper()}": value for name, value in (settings_of(pair.place) | change).items()}
    done = server.clary("up", "--detach", "--port", "0", **given)
    assert done.returncode == 1
    assert words in done.stderr
    assert pair.place.secret_key not in done.stdout + done.stderr
    if "is not the URL" not in words:
        found = server.clary("doctor", **given).stdout
        assert re.search(r"missing\s+objects" if change else r"ok\s+objects", found)


def test_a_home_finds_its_objects_again_or_does_not_start(pair: SimpleNamespace, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="again", Body=b"x" * 100_000)
    pair.here.down()
    for change, words in (
        ({"CLARY_OBJECTS_BUCKET": ""}, "objects of this home are in s3://"),
        ({"CLARY_OBJECTS_PREFIX": "other"}, "objects of this home are in s3://"),
    ):
        done = pair.here.clary("up", "--detach", "--port", str(pair.here.port), **change)
        assert (done.returncode, words in done.stderr) == (1, True)
    pair.here.up()
    assert s3.get_object(Bucket=BUCKET, Key="again")["ContentLength"] == 100_000


def client_with(server: WholeServer, credentials: Credentials, authorities: str = "") -> S3:
    return S3(lambda: server.url, "us-east-1", lambda _: credentials, lambda: True, authorities=authorities)


def agent_client(server: WholeServer, authorities: str = "") -> S3:
    """What an agent reads with: a session of the execution role, opened as for one."""
    return client_with(server, session(server, agent=True), authorities)


def root_key(server: WholeServer) -> Credentials:
    keys = server.keys()
    return Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], "", float("inf"))


def session(server: WholeServer, *, agent: bool) -> Credentials:
    settings = server.settings
    database = SqliteDatabase(str(settings.data / "records.db"), RECORDS)
    try:
        role, key = default_role_arn(settings), RootKey.load(settings)
        return open_session(database, key, role, "SageMaker", 900, SystemClock(), agent=agent)
    finally:
        database.close()


def written(server: WholeServer) -> int:
    """Bytes that the server's processes have written so far, to sockets too."""
    return _moved(server, "wchar")


def read(server: WholeServer) -> int:
    """Bytes that they have read so far."""
    return _moved(server, "rchar")


def _moved(server: WholeServer, what: str) -> int:
    texts = [Path(f"/proc/{pid}/io").read_text() for pid in server.processes()]
    return sum(int(re.search(rf"{what}: (\d+)", text)[1]) for text in texts)  # type: ignore[index] # the line is always there


def test_agents_read_past_the_server(pair: SimpleNamespace, s3: Any, tmp_path: Path) -> None:
    """An object of one blob and one of four, each without their bytes passing through the server's processes."""
    (tmp_path / "file").write_bytes(data := os.urandom(LARGE))
    s3.put_object(Bucket=BUCKET, Key="direct", Body=data)
    s3.upload_file(str(tmp_path / "file"), BUCKET, "parts", Config=TransferConfig(multipart_chunksize=6 << 20))
    for key in ("direct", "parts"):
        before = written(pair.here)
        agent_client(pair.here).download(BUCKET, key, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == data
        assert written(pair.here) - before < LARGE / 4
    s3.delete_object(Bucket=BUCKET, Key="parts")


def test_agents_write_past_the_server(pair: SimpleNamespace, s3: Any, tmp_path: Path) -> None:
    """What one wrote, and what could not have been written so, is there."""
    (tmp_path / "file").write_bytes(data := os.urandom(LARGE))
    before = read(pair.here)
    agent_client(pair.here).upload(tmp_path / "file", BUCKET, "direct")
    assert read(pair.here) - before < LARGE / 4
    assert s3.get_object(Bucket=BUCKET, Key="direct")["Body"].read() == data
    assert blobs_at_home(pair.here) == []


def test_only_who_may_read_is_told_where(pair: SimpleNamespace, s3: Any) -> None:
    data = os.urandom(100_000)
    s3.put_object(Bucket=BUCKET, Key="open", Body=data)
    s3.put_object(Bucket=BUCKET, Key="sealed", Body=data, ServerSideEncryption="AES256")
    ask = agent_client(pair.here)
    said = ask.exchange("GET", BUCKET, "open", {}, extra={"x-clary-direct": "1", "range": "bytes=10-19"})
    assert (said.status, said.getheader("x-clary-extent")) == (307, "10-19/100000")
    assert urlopen(said.getheader("Location")).read() == data
    encrypted = ask.exchange("GET", BUCKET, "sealed", {}, extra={"x-clary-direct": "1"})
    assert (encrypted.status, encrypted.read()) == (200, data)
    for credentials in (session(pair.here, agent=False), root_key(pair.here)):
        said = client_with(pair.here, credentials).exchange("GET", BUCKET, "open", {}, extra={"x-clary-direct": "1"})
        assert (said.status, said.read()) == (200, data)
    for extra in ({"x-clary-direct": "1"}, {}):
        with pytest.raises(HTTPError) as caught:
            urlopen(UrlRequest(f"{pair.here.url}/{BUCKET}/open", headers=extra))
        assert (caught.value.code, caught.value.headers["Location"]) == (403, None)


def test_an_agent_that_cannot_reach_the_store_reads_through_the_server(
    pair: SimpleNamespace, s3: Any, tmp_path: Path
) -> None:
    """Certificates that do not vouch for it stand for every reason."""
    data = os.urandom(1_000_000)
    place = dataclasses.replace(pair.place, endpoint=pair.place.endpoint.replace("http:", "https:"))
    pair.there.ask("env")
    trusted = settings_of(place) | {"objects_ca_bundle": str(pair.there.ca), "objects_prefix": f"{place.prefix}-2"}
    nobody = tmp_path / "nobody.pem"
    nobody.write_bytes((pair.here.home / "ca-bundle.pem").read_bytes() if pair.here.ask("env") else b"")
    with whole_server(**trusted) as server:
        server.client("s3").create_bucket(Bucket="over-tls")
        server.client("s3").put_object(Bucket="over-tls", Key="key", Body=data)
        for authorities, direct in ((str(pair.there.ca), True), (str(nobody), False)):
            before = written(server)
            agent_client(server, authorities).download("over-tls", "key", tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == data
            assert (written(server) - before < len(data) / 4) is direct
