"""What an agent uploads under a KMS key, by its own client: at once, and in parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.s3.conftest import Storage, serving_with_kms
from clary.agent.s3 import S3
from clary.contract.instance import Credentials


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, storage: Storage) -> Iterator[SimpleNamespace]:
    with serving_with_kms(tmp_path_factory.mktemp("home"), storage) as made:
        yield made


@pytest.mark.parametrize("size", [100, (64 << 20) + 1])
def test_uploads_under_a_key(
    server: SimpleNamespace, s3: Any, kms: Any, bucket: str, tmp_path: Path, size: int
) -> None:
    key, file = kms.create_key()["KeyMetadata"]["Arn"], tmp_path / "file"
    with file.open("wb") as opened:
        opened.truncate(size)
    credentials = Credentials("MAIN", "secret", "", float("inf"))
    agent = S3(lambda: server.url, "us-east-1", lambda _: credentials, lambda: True, key)
    agent.upload(file, bucket, "k")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["ContentLength"]) == ("aws:kms", key, size)
