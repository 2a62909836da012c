"""The container credential endpoint: SDKs inside get the session of the job's role from it, as in a container of AWS.

It answers `GET /v2/credentials/<secret>`, over HTTP, to the processes of one sandbox: the socket is one of that
sandbox's network namespace. Where there is none (a plain process), it is at a port of the machine's loopback, and wants
a token besides. It ends with the sandbox. Nothing of a session is in the environment or in a file of the job, and the
session is not the agent's own.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import secrets
import socket
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from clary.agent.failures import ClientFailure
from clary.contract.instance import Credentials

_PATH = "/v2/credentials/"
_LONGEST_HEAD = 8192  # bytes
_PATIENCE = 2.0  # seconds for one exchange: SDKs wait as long
_TOGETHER = 16  # exchanges at a time; more wait
_REST = 0.1  # seconds after an accept that failed
_REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 503: "Service Unavailable"}


class CredentialEndpoint:
    """Of one instance. session() gives the credentials of `role`, renewed in time, or None when there are none any
    more; it raises ClientFailure when the role gives none. What is asked for has a name made of the `secret` that the
    agents of a job know and nobody else: of hosts that share a network, whoever is reached answers. `inside`: whether
    it is reached by a socket of the sandbox's own, which `serve` is given then. `environment` is what tells SDKs where
    it is."""

    def __init__(self, role: str, secret: str, session: Callable[[], Credentials | None], *, inside: bool) -> None:
        self._role = role
        self._session = session
        self._path = _PATH + hmac.new(secret.encode(), _PATH.encode(), "sha256").hexdigest()
        self._token = "" if inside else secrets.token_urlsafe(32)
        self._listener = None if inside else socket.create_server(("127.0.0.1", 0))

    @property
    def environment(self) -> dict[str, str]:
        if self._listener is None:
            return {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": self._path}
        port = self._listener.getsockname()[1]
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}{self._path}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    def serve(self, handed: socket.socket | None) -> None:
        """Answers until the socket is shut down: one that was `handed` out by its owner, its own by `close`."""
        listener = handed or self._listener
        if listener is not None:
            threading.Thread(target=self._run, args=(listener,), name="credentials", daemon=True).start()

    def close(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # whoever accepts at it is woken
            self._listener.close()

    def _run(self, listener: socket.socket) -> None:
        """Few exchanges at a time: a job that asks without end holds up nobody but itself, and what connects and says
        nothing does not hold up the others."""
        room = threading.BoundedSemaphore(_TOGETHER)
        while True:
            try:
                connection = listener.accept()[0]
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):  # closed
                    return
                time.sleep(_REST)
                continue
            room.acquire()
            try:
                threading.Thread(target=self._exchange, args=(connection, room), name="credential", daemon=True).start()
            except RuntimeError:  # no thread more: the asker tries again
                connection.close()
                room.release()

    def _exchange(self, connection: socket.socket, room: threading.Semaphore) -> None:
        try:
            with connection, contextlib.suppress(OSError, ValueError):
                head = _head(connection)
                connection.settimeout(_PATIENCE)
                connection.sendall(_response(*self._answer(head)))
        finally:
            room.release()

    def _answer(self, head: list[str]) -> tuple[int, dict[str, Any]]:
        """(status, JSON). Raises ValueError for what is no request."""
        method, path, _ = head[0].split(" ")
        pairs = (line.partition(":") for line in head[1:])
        token = next((value.strip() for name, _, value in pairs if name.lower() == "authorization"), "")
        if method != "GET" or not hmac.compare_digest(path.encode(), self._path.encode()):
            return 404, _refusal("NotFound", "There is nothing here.")
        if not hmac.compare_digest(token.encode(), self._token.encode()) and self._token:
            return 403, _refusal("AccessDenied", "The authorization token is missing or wrong.")
        try:
            session = self._session()
        except ClientFailure as error:
            return 403, _refusal("AccessDenied", str(error))
        except Exception:  # one request that fails is no reason to leave the next without an answer
            traceback.print_exc()
            return 503, _refusal("InternalFailure", "The credentials cannot be had now.")
        if session is None:
            return 503, _refusal("ServiceUnavailable", "The instance is ending.")
        return 200, {
            "RoleArn": self._role,
            "AccessKeyId": session.access_key,
            "SecretAccessKey": session.secret_key,
            "Token": session.session_token,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session.expires)),
        }


def _head(connection: socket.socket) -> list[str]:
    """The lines of a request's head. Raises ValueError for one that is too long or not whole in time, OSError."""
    until, data = time.monotonic() + _PATIENCE, b""
    while b"\r\n\r\n" not in data:
        left = until - time.monotonic()
        if left <= 0 or len(data) > _LONGEST_HEAD:
            raise ValueError("not a request")
        connection.settimeout(left)
        piece = connection.recv(_LONGEST_HEAD)
        if not piece:
            raise ValueError("not a whole request")
        data += piece
    return data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


def _response(status: int, content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
