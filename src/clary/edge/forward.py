"""Passing a request on to the control plane and its response back, with back-pressure both ways."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from clary.edge.control import Link, LinkPool
from clary.edge.exchange import Exchange
from clary.edge.files import Files, FileSequence
from clary.edge.landing import FileLanding
from clary.edge.requests import described, may_repeat
from clary.server.frames import COUNT, Frame, pack, pack_json

log = logging.getLogger(__name__)

_AWAY = "The control plane is not available. Please try again."
_AGAIN = 2  # a control plane that dies may take one more connection before its socket is gone
_UNWANTED = 1024 * 1024  # of a response nobody waits for is read over; beyond that the link is closed


class Forward:
    """One exchange on its way: the consumer of the client's side, the user of the link's."""

    def __init__(self, exchange: Exchange, pool: LinkPool, files: Files) -> None:
        self._exchange = exchange
        self._pool = pool
        self._files = files
        self._link: Link | None = None
        self._early: list[bytes] = []  # body pieces that came before there was a link
        self._ended = False  # of the request's body, or that we gave it up
        self._gone = False
        self._held = False
        self._again = _AGAIN if may_repeat(exchange) else 0
        self._unwanted = 0
        # A response whose head and first piece came in one read goes out in one write, with its length if it ended.
        self._head: tuple[int, list[tuple[str, str]]] | None = None
        self._piece = b""
        self._landing: FileLanding | None = None  # of the request's body
        self._full = False  # the link, for now
        self._sequence: FileSequence | None = None  # in the response

    def begin(self) -> None:
        self._pool.take(self)
        if self._link is None and self._exchange.head.length != 0:
            self._exchange.pause_body()

    # The client's side.

    def body(self, data: bytes) -> None:
        if self._link is None:
            self._early.append(data)
        else:
            self._link.send_data(data)

    def body_end(self) -> None:
        self._ended = True
        if self._link is not None:
            self._link.send(_END)

    def client_gone(self) -> None:
        self._gone = True
        self._stop_landing()
        self._stop_sending()
        if self._link is None:
            self._pool.cancel(self)
            return
        if self._held:  # nobody need wait for that answer any more
            self._link.close()
            return
        if not self._ended:
            self._ended = True
            self._link.send(_ABORT)
        self._link.transport.resume_reading()

    def pause(self) -> None:
        if self._sequence is not None:
            self._sequence.pause()
        if self._link is not None:
            self._link.transport.pause_reading()

    def resume(self) -> None:
        if self._sequence is not None:
            self._sequence.resume()
        if self._link is not None:
            self._link.transport.resume_reading()

    # The link's side.

    def linked(self, link: Link) -> None:
        self._link = link
        link.send(pack_json(Frame.REQUEST, described(self._exchange)))
        for piece in self._early:
            link.send_data(piece)
        self._early.clear()
        if self._ended:
            link.send(_END)
        self._exchange.resume_body()

    def unavailable(self) -> None:
        self._exchange.refuse(503, "ServiceUnavailable", _AWAY)

    def link_frame(self, kind: int, payload: bytes) -> None:
        if kind == Frame.RESPONSE:
            self._start(payload)
        elif kind == Frame.END:
            self._finish()
        elif kind == Frame.FILE:
            self._file(payload)
        elif kind == Frame.INTO:
            self._into(payload)
        elif kind == Frame.READ and self._landing is not None:
            self._landing.more(*COUNT.unpack(payload))
        elif kind == Frame.CONTINUE:
            self._exchange.send_continue()
        elif kind == Frame.HELD and self._link is not None:
            self._hold(self._link)
        elif kind == Frame.ABORT:
            self._release()
            self._break()

    def link_data(self, data: bytes) -> None:
        if self._gone:
            self._unwanted += len(data)
            if self._unwanted > _UNWANTED and self._link:
                self._link.close()
        elif self._head is not None and not self._piece:
            self._piece = data
        else:
            self.link_flush()
            self._exchange.write(data)

    def link_flush(self) -> None:
        if self._head is None:
            return
        (status, headers), self._head = self._head, None
        try:
            self._exchange.start(status, headers)
        except (ValueError, KeyError) as error:
            self._unusable(error)
        self._exchange.write(self._piece)
        self._piece = b""

    def link_lost(self) -> None:
        # Whether the control plane has acted on it, nobody here can know: only what changes nothing is sent again.
        self._link = None
        self._stop_landing()
        if self._again and not self._gone and self._head is None and not self._exchange.started:
            self._again -= 1
            self._pool.take(self)
            return
        if self._sequence is not None and self._sequence.ends_alone():
            return
        self._stop_sending()
        self._exchange.refuse(503, "ServiceUnavailable", _AWAY)

    def link_pause(self) -> None:
        self._full = True
        self._exchange.pause_body()

    def link_resume(self) -> None:
        self._full = False
        if self._landing is None:
            self._exchange.resume_body()

    def _hold(self, link: Link) -> None:
        if self._gone:
            link.close()
            return
        self._held = True
        link.hold()

    def _into(self, payload: bytes) -> None:
        """Where that does not work, the body goes on in frames."""
        client = None if self._ended or self._gone else self._exchange.body_socket()
        if client is None:
            return
        given = json.loads(payload)
        try:
            file = os.open(given["path"], os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            client.close()
            return
        self._landing = FileLanding(self._exchange, client, file, given["ahead"], self._wrote, self._landed)

    def _wrote(self, count: int) -> None:
        if self._link is not None:
            self._link.send(pack(Frame.WROTE, COUNT.pack(count)))

    def _landed(self, rest: bytes) -> None:
        self._landing = None
        if rest:
            self.body(rest)
        if not self._full:
            self._exchange.resume_body()

    def _stop_landing(self) -> None:
        """What it has received meanwhile is lost, so no other request can follow on the connection."""
        landing, self._landing = self._landing, None
        if landing is not None:
            self._exchange.head.keep_alive = False
            landing.stop()

    def _file(self, payload: bytes) -> None:
        self.link_flush()
        if self._sequence is None:
            self._sequence = FileSequence(self._exchange, self._files, self._taken, self._break)
        self._sequence.send(payload, not self._gone)

    def _taken(self) -> None:
        if self._link is not None:
            self._link.send(_TAKEN)

    def _start(self, payload: bytes) -> None:
        self._held = False
        self._stop_landing()
        if self._gone:
            return
        try:
            answer: dict[str, Any] = json.loads(payload)
            headers = [(str(name), str(value)) for name, value in answer["headers"]]
            self._head = int(answer["status"]), headers
        except (ValueError, KeyError, TypeError) as error:
            self._unusable(error)

    def _finish(self) -> None:
        self._release()
        if self._sequence is not None and self._sequence.end():
            return
        if self._head is not None and self._is_whole(*self._head):
            (status, headers), self._head = self._head, None
            try:
                self._exchange.respond(status, headers, self._piece)
            except (ValueError, KeyError) as error:
                self._unusable(error)
        else:
            self.link_flush()
            self._exchange.finish()

    def _unusable(self, error: Exception) -> None:
        log.error("an unusable response head from the control plane: %r", error)
        self._exchange.refuse(500, "InternalFailure", "An internal error occurred.")

    def _is_whole(self, status: int, headers: list[tuple[str, str]]) -> bool:
        """Whether the piece is the body that the head declares. HEAD and 304 declare one that they leave out."""
        length = str(len(self._piece))
        declared = next((value for name, value in headers if name.lower() == "content-length"), length)
        return declared == length and status != 304 and self._exchange.head.method != "HEAD"

    def _break(self) -> None:
        self._stop_landing()
        self._stop_sending()
        self._exchange.refuse(500, "InternalFailure", "An internal error occurred.")

    def _stop_sending(self) -> None:
        if self._sequence is not None:
            self._sequence.stop()

    def _release(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if not self._ended:
            self._ended = True
            link.send(_ABORT)
        link.transport.resume_reading()
        link.release()


_END = pack(Frame.END)
_ABORT = pack(Frame.ABORT)
_TAKEN = pack(Frame.TAKEN)
