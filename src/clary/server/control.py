"""The control plane's end of the frames: a lane for requests, one for questions, and a room for requests that wait.

A request may be slow because its client is: an upload that trickles in holds a thread until it has come, and another
stands in for that thread meanwhile. Questions are whole frames of our own processes, answered at once, and invocations
wait for them: they never share a thread. A request whose answer is held leaves its thread.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from clary.server.bodies import Waits
from clary.server.exchange import Application, Hold, serve_question, serve_request
from clary.server.frames import questions_socket
from clary.server.lane import Lane
from clary.server.turns import Turns
from clary.server.waiting import WaitingRoom

Answer = Callable[[dict[str, Any]], dict[str, Any]]

_QUESTION_THREADS = 4  # an edge asks at most so many at once
_SLOWEST = 1024  # bytes in a second, of an upload that takes longer than a lane's patience


class ControlServer:
    """Serves `application` (requests) on the unix socket `path`, and `answer` (questions) on the one beside it.

    `threads` bounds how many requests run at once; further ready connections wait in the kernel. A peer that is silent
    for `patience` seconds in the middle of an exchange loses its connection. `room` is where requests wait that
    `application` holds; `turns` are for those who have to know which threads wait, and for more threads than `threads`:
    as many as those stand in for threads that wait for bodies, and for no more is waited; `strangers` bounds how many
    may wait for bodies whose senders `application` does not know. `start` binds the sockets and returns; `stop` answers
    who waits, takes no new exchange, gives running ones `grace` seconds, and returns whether all of them ended.
    """

    def __init__(
        self,
        path: Path,
        application: Application,
        answer: Answer,
        threads: int = 32,
        patience: float = 60.0,
        room: WaitingRoom | None = None,
        turns: Turns | None = None,
        strangers: Waits | None = None,
    ) -> None:
        spare = 0 if turns is None else turns.threads - threads
        known = Waits(spare, patience, _SLOWEST, self._standing_in) if spare else None
        ask = functools.partial(serve_question, answer=answer)
        serve = functools.partial(
            serve_request, application=application, park=self._park, strangers=strangers, known=known
        )
        self._room = room or WaitingRoom()
        self._questions = Lane(questions_socket(path), ask, _QUESTION_THREADS, patience)
        self._requests = Lane(path, serve, threads, patience, turns)

    def start(self) -> None:
        """Raises OSError when a socket cannot be bound."""
        self._room.start()
        self._questions.start()
        self._requests.start()

    def stop(self, grace: float = 10.0) -> bool:
        deadline = time.monotonic() + grace
        self._room.close()
        return all([self._requests.stop(deadline), self._questions.stop(deadline)])

    def _standing_in(self) -> AbstractContextManager[None]:
        return self._requests.standing_in()

    def _park(self, connection: socket.socket, hold: Hold) -> bool:
        return self._room.enter(connection, hold, self._requests.give_back)
