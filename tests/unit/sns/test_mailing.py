"""Mail through a server."""

from __future__ import annotations

import base64
import itertools
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr
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
                server.mail.append(b"".join(itertools.takewhile(lambda each: each != b".\r\n", self.rfile)))
                self.wfile.write(server.answer)
            elif word == b"QUIT":
                self.wfile.write(server.goodbye)
                return
            else:
                self.wfile.write(b"250 fine\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """Takes every mail, and says `answer` to it, and `goodbye` at the end."""

    daemon_threads = True
    answer = b"250 taken\r\n"
    goodbye = b"221 bye\r\n"

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


@pytest.mark.parametrize("goodbye", [b"421 too late\r\n", b""])
def test_what_was_taken_was_taken_whatever_comes_then(server: MailServer, tmp_path: Path, goodbye: bytes) -> None:
    server.goodbye = goodbye
    send(server, tmp_path)
    assert len(server.mail) == 1


@pytest.mark.parametrize(
    ("peer", "encrypted", "may"),
    [("127.0.0.1", False, True), ("::1", False, True), ("192.0.2.7", False, False), ("192.0.2.7", True, True)],
)
def test_passwords_leave_the_machine_encrypted(peer: str, encrypted: bool, may: bool) -> None:
    assert mailing.may_log_in(peer, encrypted) is may


FORGED = "=?utf-8?q?x=0D=0ABcc:_all=40corp.example=0D=0A=0D=0AFORGED?="


@pytest.mark.parametrize(
    "text",
    [
        *(FORGED, f"{FORGED} {FORGED}", f"ü {FORGED}", "=?utf-8?b?DQpYOiB5?=", "x =?utf-8?q?=00?= y"),
        *("Größe " * 16, "ä" * 100, "a, <b@c.example>; (d)", 'say "\\"', "plain words " * 8, "x" * 100),
    ],
)
def test_what_is_written_is_what_is_read(tmp_path: Path, text: str) -> None:
    settings = Settings.load({"CLARY_MAIL_FROM": "lab@example.org"}, home=tmp_path)
    text = text.strip()
    letter = mailing.letter(settings, "bob@example.org", text, {**DOCUMENT, "Subject": text}, "content\n")
    mailing.send(settings, letter, "name")
    written = (settings.mail / "name.eml").read_bytes()
    head, _, _ = written.partition(b"\r\n\r\n")
    assert not any(set(line) & {0, 10, 13} for line in head.split(b"\r\n"))
    read = message_from_bytes(written, policy=policy.compat32)
    assert read.keys() == [
        *("From", "To", "Subject", "Date", "Message-ID"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    ]
    subject, sender = (read[name].replace("\r\n", "") for name in ("Subject", "From"))
    assert str(make_header(decode_header(subject))) == text
    name, address = parseaddr(sender)
    assert (str(make_header(decode_header(name))), address) == (text, "lab@example.org")
    assert read.get_payload(decode=True) == b"content\r\n"


@pytest.mark.parametrize("text", ["a\r\nBcc: all@corp.example", "a\r\n\r\nb", "a\0b", "a\rb"])
def test_what_is_no_header(tmp_path: Path, text: str) -> None:
    settings = Settings.load({}, home=tmp_path)
    for sender, document in ((text, DOCUMENT), ("The Lab", {**DOCUMENT, "Subject": text})):
        with pytest.raises(Failed) as caught:
            mailing.letter(settings, "bob@example.org", sender, document, "content")
        assert caught.value.final
