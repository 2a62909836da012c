"""An endpoint of somebody's: it takes what is sent, and says what it is told to."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api.port import port
from clary.wire.messages import Headers, Request, Response


class Received:
    """What came in one request."""

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def kind(self) -> str | None:
        return self.headers.get("x-amz-sns-message-type")


class Listener:
    """`statuses` are answered one after the other, then 200; `url` is where it listens."""

    url = ""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        self.headers: list[tuple[str, str]] = []
        self._came = threading.Condition()

    def answer(self, request: Request) -> Response:
        with self._came:
            self.received.append(Received(request.headers, request.body.read()))
            self._came.notify_all()
            return Response(self.statuses.pop(0) if self.statuses else 200, list(self.headers))

    def wait(self, count: int, seconds: float = 20) -> Received:
        """The `count`-th that came."""
        with self._came:
            came = self._came.wait_for(lambda: len(self.received) >= count, seconds)
            assert came, f"{len(self.received)} of {count} came"
            return self.received[count - 1]

    def confirm(self, sns: Any, topic: str, **given: Any) -> str:
        """Subscribes, and visits the link that comes; the subscription's ARN."""
        before = len(self.received)
        arn = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=self.url, ReturnSubscriptionArn=True, **given)[
            "SubscriptionArn"
        ]
        with urllib.request.urlopen(self.wait(before + 1).document["SubscribeURL"]) as answer:
            assert answer.status == 200
        return str(arn)


@contextmanager
def listener() -> Iterator[Listener]:
    made = Listener()
    with port(made.answer) as made.url:
        yield made
