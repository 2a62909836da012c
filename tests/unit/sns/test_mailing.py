"""Mail through a server."""

from __future__ import annotations

import base64
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from clary.config import Settings
from clary.services.sns import mailing
from clary.services.sns.posting import Failed

DOCUMENT = {
    "Type": "Notification",
    "MessageId": "one",
    "Subject": "Größe",
    "Message": "text",
    "Timestamp": "2026-01-02T03:04:05.678Z",
    "UnsubscribeURL": "http://127.0.0.1/?Action=Unsubscribe",
}


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line.split(maxsplit=1)[0].upper().rstrip()
            server.said.append(line.decode().strip())
            if word == b"EHLO":
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
            elif word == b"AUTH":
                self.wfile.write(b"235 welcome\r\n")
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                server.mail.append(b"".join(lines))
                self.wfile.write(server.answer)
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 fine\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """Takes every mail, and says `answer` to it."""

    daemon_threads = True
    answer = b"250 taken\r\n"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.said: list[str] = []
        self.mail: list[bytes] = []


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def send(server: MailServer, home: Path) -> None:
    url = f"smtp://ann%40x:se%3Acret@127.0.0.1:{server.server_address[1]}"
    settings = Settings.load({"CLARY_SMTP_URL": url, "CLARY_MAIL_FROM": "lab@example.org"}, home=home)
    assert "se%3Acret" not in repr(settings)
    letter = mailing.letter(settings, "bob@example.org", "The Lab", DOCUMENT, mailing.text(DOCUMENT))
    mailing.send(settings, letter, "name")


def test_a_letter(server: MailServer, tmp_path: Path) -> None:
    send(server, tmp_path)
    (mail,) = server.mail
    read = message_from_bytes(mail, policy=policy.default)
    assert (read["From"], read["To"]) == ("The Lab <lab@example.org>", "bob@example.org")
    assert (read["Subject"], read["Message-ID"]) == ("Größe", "<one@example.org>")
    assert read.get_content().startswith("text\n\n--\n") or read.get_content().startswith("text\r\n\r\n--\r\n")
    proof = base64.b64encode(b"\0ann@x\0se:cret").decode()
    assert f"AUTH PLAIN {proof}" in server.said
    assert not list(tmp_path.rglob("*.eml"))


def test_a_server_that_does_not_take_it(server: MailServer, tmp_path: Path) -> None:
    server.answer = b"451 later\r\n"
    with pytest.raises(Failed) as caught:
        send(server, tmp_path)
    assert not caught.value.final
    assert "cret" not in str(caught.value)
