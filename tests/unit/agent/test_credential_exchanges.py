"""The credential endpoint of a plain process, asked side by side."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from clary.agent.credentials import CredentialEndpoint
from clary.contract.instance import Credentials

SESSION = Credentials("AKIA", "secret", "token", 2e9)


@contextmanager
def endpoint(session: Callable[[], Credentials | None]) -> Iterator[dict[str, str]]:
    made = CredentialEndpoint("arn:aws:iam::123456789012:role/r", "a-secret", session, inside=False)
    try:
        made.serve(None)
        yield made.environment
    finally:
        made.close()


def asked(environment: dict[str, str], within: float = 30.0) -> int:
    token = {"Authorization": environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    request = urllib.request.Request(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers=token)
    try:
        with urllib.request.urlopen(request, timeout=within) as answer:
            assert json.load(answer)["AccessKeyId"] == "AKIA"
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_one_that_fails_is_not_the_last(capfd: pytest.CaptureFixture[str]) -> None:
    given: list[Exception | None] = [None, RuntimeError("unforeseen"), ValueError("unforeseen")]

    def session() -> Credentials:
        error = given.pop() if given else None
        if error is not None:
            raise error
        return SESSION

    with endpoint(session) as environment:
        assert [asked(environment) for _ in range(3)] == [503, 503, 200]
    assert "unforeseen" in capfd.readouterr().err


def test_those_that_say_nothing_hold_nobody_up() -> None:
    """One alone takes two seconds until it is given up."""
    with endpoint(lambda: SESSION) as environment, ExitStack() as opened:
        port = int(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].split(":")[2].split("/")[0])
        for _ in range(8):
            opened.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert asked(environment, within=1.5) == 200
