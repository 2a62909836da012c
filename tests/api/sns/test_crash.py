"""The server is killed while messages are published: each that was acknowledged comes, perhaps more than once."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Callable

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from api.sns.listener import listener
from api.sns.test_buckets import BUCKET, letting, rule
from clary.server import processes
from whole_server import WholeServer, wait_until, whole_server

_LOST = (ClientError, BotoCoreError)


Send = Callable[[str], object]


class Sender(threading.Thread):
    """Sends texts of its own, one after the other; `acknowledged` are those that were."""

    def __init__(self, send: Send, number: int) -> None:
        super().__init__()
        self._send, self._number = send, number
        self.acknowledged: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        for count in itertools.count():
            if self.done.is_set():
                return
            text = f"{self._number}-{count}"
            try:
                self._send(text)
            except _LOST:
                self.done.wait(0.05)
            else:
                self.acknowledged.append(text)


def kill(server: WholeServer, name: str) -> None:
    victim = processes.recorded(server.settings.run / f"{name}.pid")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not victim.lives())
    if name == "supervisor":  # nothing of the server outlives it
        server.up()


def _sent_through(server: WholeServer, make: Callable[[], Send], victims: list[str]) -> set[str]:
    """What was acknowledged while the victims were killed, one after the other."""
    senders = [Sender(make(), number) for number in range(3)]
    for each in senders:
        each.start()
    for victim in victims:
        before = _count(senders)
        wait_until(lambda before=before: _count(senders) > before + 30, 60)  # type: ignore[misc] # mypy does not see defaults
        kill(server, victim)
    before = _count(senders)
    wait_until(lambda: _count(senders) > before, 60)
    for each in senders:
        each.done.set()
        each.join(60)
    return {text for each in senders for text in each.acknowledged}


def _count(senders: list[Sender]) -> int:
    return sum(len(each.acknowledged) for each in senders)


ONCE_AND_AGAIN = pytest.mark.parametrize(
    "victims",
    [
        pytest.param(["control"], id="once"),
        pytest.param(["control", "supervisor", "control", "control", "supervisor"], id="again", marks=pytest.mark.slow),
    ],
)


@ONCE_AND_AGAIN
def test_no_acknowledged_message_is_lost(victims: list[str]) -> None:
    with whole_server() as server, listener() as inbox:
        topic = server.client("sns").create_topic(Name="crash")["TopicArn"]
        inbox.confirm(server.client("sns"), topic)

        def make() -> Send:
            sns = server.client("sns")
            return lambda text: sns.publish(TopicArn=topic, Message=text)

        wanted = _sent_through(server, make, victims)

        def came() -> bool:
            return wanted <= {each.document["Message"] for each in list(inbox.received)}

        wait_until(came, 60, "an acknowledged message did not come")


@ONCE_AND_AGAIN
def test_no_acknowledged_object_is_untold(victims: list[str]) -> None:
    with whole_server() as server, listener() as inbox:
        sns, s3 = server.client("sns"), server.client("s3")
        topic = sns.create_topic(Name="crash")["TopicArn"]
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=letting(topic))
        inbox.confirm(sns, topic)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": [rule(topic, "ObjectCreated:*")]}
        )

        def make() -> Send:
            client = server.client("s3")
            return lambda text: client.put_object(Bucket=BUCKET, Key=text, Body=b"data")

        wanted = _sent_through(server, make, victims)

        def came() -> bool:
            events = [json.loads(each.document["Message"]) for each in list(inbox.received)[1:]]
            return wanted <= {each["Records"][0]["s3"]["object"]["key"] for each in events if "Records" in each}

        wait_until(came, 60, "an acknowledged object was not told of")
