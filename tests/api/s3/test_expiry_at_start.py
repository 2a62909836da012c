"""The whole server carries out lifecycle rules: what fell due while nobody looked goes at the next start."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

from clary.server import processes
from whole_server import wait_until, whole_server


def test_what_is_due_goes_at_a_start() -> None:
    with whole_server() as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="due")
        for key in ("old/a", "old/b", "new"):
            s3.put_object(Bucket="due", Key=key, Body=b"x")
        rule = {
            "Status": "Enabled",
            "Filter": {"Prefix": "old/"},
            "Expiration": {"Date": datetime(2020, 1, 1, tzinfo=UTC)},
        }
        s3.put_bucket_lifecycle_configuration(Bucket="due", LifecycleConfiguration={"Rules": [rule]})
        control = processes.recorded(server.settings.run / "control.pid")
        assert control is not None
        os.kill(control.pid, signal.SIGKILL)  # and the supervisor starts another
        wait_until(lambda: s3.list_objects_v2(Bucket="due")["KeyCount"] == 1, what="nothing expired")
        assert s3.list_objects_v2(Bucket="due")["Contents"][0]["Key"] == "new"
