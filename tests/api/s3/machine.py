"""What the machines of object semantics have in common: a home of their own, its operations called as functions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from api.s3.conftest import MAIN, build
from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.services.operation import Call
from clary.services.s3 import OPERATIONS, sweep
from clary.services.s3.writing import SMALL
from clary.store import objects_schema as tables
from clary.wire.messages import BytesBody, Headers, Request

keys = st.sampled_from(["a", "a/b", "a/c", "b", "é/\x01"])
contents = st.binary(max_size=40) | st.binary(max_size=40).map(lambda data: data + bytes(SMALL))  # in the index, or not


class S3Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.home = Path(self._folder.name)
        self.platform = build(self.home)
        self.call("CreateBucket")

    def call(self, operation: str, **given: Any) -> Any:
        who = Principal("root", MAIN, f"arn:aws:iam::{MAIN}:root", MAIN)
        request = Request("PUT", "/", Headers([("host", "h")]))
        call = Call(self.platform, who, "s3", operation, MAIN, "us-east-1", "R", request, BytesBody(), Caller(who))
        handler = OPERATIONS.find(operation)
        assert handler is not None
        return handler(call, {"Bucket": "bucket", **given})

    def kept(self) -> tuple[int, int]:
        """How many (files, rows of small objects' bytes) there are."""
        files = sum(1 for path in (self.home / "objects").rglob("*") if path.is_file())
        rows = self.platform.stores.objects.read(
            lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(tables.contents))
        )
        return files, rows or 0

    def teardown(self) -> None:
        assert sweep.sweep(self.platform.objects, self.platform.stores.objects, grace=-1) == 0  # type: ignore[arg-type] # the file system store
        self.platform.stores.objects.close()
        self._folder.cleanup()
