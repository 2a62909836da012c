"""The server is killed while messages are published: each that was acknowledged comes, perhaps more than once."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from api.sns.listener import listener
from clary.server import processes
from whole_server import WholeServer, wait_until, whole_server

_LOST = (ClientError, BotoCoreError)


class Publisher(threading.Thread):
    def __init__(self, server: WholeServer, topic: str, number: int) -> None:
        super().__init__()
        self._sns, self._topic, self._number = server.client("sns"), topic, number
        self.acknowledged: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        count = 0
        while not self.done.is_set():
            text = f"{self._number}-{count}"
            count += 1
            try:
                self._sns.publish(TopicArn=self._topic, Message=text)
            except _LOST:
                self.done.wait(0.05)
            else:
                self.acknowledged.append(text)


def _kill(server: WholeServer, name: str) -> None:
    victim = processes.recorded(server.settings.run / f"{name}.pid")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not victim.lives())
    if name == "supervisor":  # nothing of the server outlives it
        server.up()


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(["control"], id="once"),
        pytest.param(["control", "supervisor", "control", "control", "supervisor"], id="again", marks=pytest.mark.slow),
    ],
)
def test_no_acknowledged_message_is_lost(victims: list[str]) -> None:
    with whole_server() as server, listener() as inbox:
        topic = server.client("sns").create_topic(Name="crash")["TopicArn"]
        inbox.confirm(server.client("sns"), topic)
        publishers = [Publisher(server, topic, number) for number in range(3)]
        for each in publishers:
            each.start()
        for victim in victims:
            before = _count(publishers)
            wait_until(lambda before=before: _count(publishers) > before + 30, 60)  # type: ignore[misc]
            _kill(server, victim)
        before = _count(publishers)
        wait_until(lambda: _count(publishers) > before, 60)
        for each in publishers:
            each.done.set()
            each.join(60)
        wanted = {text for each in publishers for text in each.acknowledged}
        wait_until(lambda: wanted <= _came(inbox), 60, "an acknowledged message did not come")


def _count(publishers: list[Publisher]) -> int:
    return sum(len(each.acknowledged) for each in publishers)


def _came(inbox: Any) -> set[str]:
    return {each.document["Message"] for each in list(inbox.received)}
