"""Servers of objects: Clary, moto_server and nginx, and requests for them with presigned URLs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import processes
from measure.servers import Clary, clary, free_port, peer

ROOT = Path(__file__).parents[2]
BUCKET = "bench"
_NGINX = """
{user} worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}; }} }}
"""


@dataclass
class Storage:
    """A running server. `pids` are those of its processes that have to do with objects; `s3` is a boto3 client with
    `keys`, the access key and the secret one; `blobs` the folder of Clary's files."""

    port: int
    pids: Callable[[], set[int]]
    s3: Any
    keys: tuple[str, str]
    blobs: Path = Path()

    def target(self, operation: str, key: str, longer: int = 0) -> str:
        """The request target of a presigned URL, good for an hour and `longer` seconds."""
        given = {"Bucket": BUCKET, "Key": key}
        url = self.s3.generate_presigned_url(operation, Params=given, ExpiresIn=3600 + longer)
        return str("/" + url.split("/", 3)[3])


def s3_client(port: int, access_key: str, secret_key: str) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.Session(access_key, secret_key, region_name="us-east-1")
    version_4 = Config(signature_version="s3v4")  # boto3 presigns with the old one here
    return session.client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=version_4)


def storage_of(server: Clary) -> Storage:
    given = server.keys()
    keys = (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
    s3 = s3_client(server.port, *keys)
    return Storage(server.port, lambda: server.pids("edge", "control"), s3, keys, server.home / "objects")


@contextmanager
def clary_storage(**settings: str) -> Iterator[Storage]:
    """Its objects are durable when they are acknowledged, and every signature is checked. `settings` as in `clary`."""
    with clary(**settings) as server:
        storage = storage_of(server)
        storage.s3.create_bucket(Bucket=BUCKET)
        yield storage


@contextmanager
def moto_storage() -> Iterator[Storage]:
    """moto_server keeps objects in memory and checks no signature."""
    program = ROOT / ".venvs" / "peers-moto" / "bin" / "moto_server"
    if not program.exists():
        raise SystemExit("this benchmark needs moto_server: make benchmarks")
    port = free_port()
    with peer([str(program), "-H", "127.0.0.1", "-p", str(port)], port) as process:
        pair = ("key", "secret")
        storage = Storage(port, lambda: processes.family(process.pid), s3_client(port, *pair), pair)
        storage.s3.create_bucket(Bucket=BUCKET)
        yield storage


@contextmanager
def nginx_files() -> Iterator[tuple[Path, int, Callable[[], set[int]]]]:
    """(folder, port, pids) of an nginx that serves what is in the folder."""
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as name:
        folder, port = Path(name), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = folder / "nginx.conf"
        configuration.write_text(_NGINX.format(folder=folder, port=port, user=user))
        with peer(["nginx", "-e", "stderr", "-c", str(configuration)], port) as process:
            yield folder, port, lambda: processes.family(process.pid)


def head(method: str, port: int, target: str, length: int | None = None) -> bytes:
    """A request's head."""
    declared = "" if length is None else f"Content-Length: {length}\r\n"
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{declared}\r\n".encode()
