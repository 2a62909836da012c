"""Messages as mail: through the SMTP server of the settings, or else as .eml files in a folder."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.utils import format_datetime, formataddr
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from clary.config import Settings
from clary.services.sns.posting import Failed

if TYPE_CHECKING:
    import smtplib

_SECONDS = 15.0
_SUBJECTS = {
    "SubscriptionConfirmation": "AWS Notification - Subscription Confirmation",
    "UnsubscribeConfirmation": "AWS Notification - Unsubscribe Confirmation",
}
_PORTS = {"smtp": 25, "smtps": 465}
_NEW_LINE = re.compile("\r\n|\r|\n")
# Of a header: ASCII that can be seen, and lines that go on.
_WRITTEN = re.compile(r"[ -~]+(\r\n[ \t][ -~]+)*")


@dataclass(frozen=True, slots=True)
class Letter:
    """Mail as it is sent: `data` is the whole message, in lines that end with CR LF."""

    to: str
    data: bytes


def text(document: Mapping[str, Any]) -> str:
    """What people read, of a message's document."""
    if document["Type"] != "Notification":
        return f"{document['Message']}\n\n{document['SubscribeURL']}\n"
    return (
        f"{document['Message']}\n\n--\nIf you wish to stop receiving notifications from this topic, please visit the "
        f"link below to unsubscribe:\n{document['UnsubscribeURL']}\n"
    )


def letter(settings: Settings, to: str, sender: str, document: Mapping[str, Any], content: str) -> Letter:
    """`sender` is the name that is shown; `content` the text. Raises Failed for what no header can hold."""
    subject = document.get("Subject") or _SUBJECTS.get(document["Type"], "AWS Notification Message")
    domain = settings.mail_from.rpartition("@")[2]
    try:
        head = [
            _sender(sender, settings.mail_from),
            _header("To", to),
            _header("Subject", subject),
            _header("Date", format_datetime(datetime.fromisoformat(document["Timestamp"]))),
            _header("Message-ID", f"<{document['MessageId']}@{domain}>"),
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: base64",
        ]
    except (MessageError, ValueError) as error:
        raise Failed(f"{type(error).__name__}: {error}", final=True) from error
    body = base64.encodebytes(_NEW_LINE.sub("\r\n", content).encode(errors="replace")).replace(b"\n", b"\r\n")
    return Letter(to, "\r\n".join((*head, "", "")).encode("ascii") + body)


def _sender(name: str, address: str) -> str:
    if _is_plain(name):
        return _checked("From", formataddr((name, address)))
    value = Header(name, "utf-8", header_name="From")
    value.append(f"<{address}>", "us-ascii")
    return _checked("From", value.encode(linesep="\r\n"))


def _header(name: str, text: str) -> str:
    if _is_plain(text):
        return _checked(name, text)
    return _checked(name, Header(text, "utf-8", header_name=name).encode(linesep="\r\n"))


def _is_plain(text: str) -> bool:
    """What begins as an encoded word is not: a reader would decode what its sender wrote literally."""
    return text.isascii() and "=?" not in text


def _checked(name: str, written: str) -> str:
    """The header's lines. `email.policy`'s headers do not make them: they decode what they are given, and what was
    encoded in it would become headers of its own. Raises ValueError."""
    if not _WRITTEN.fullmatch(written):
        raise ValueError(f"what {name} would say is no header")
    return f"{name}: {written}"


def send(settings: Settings, mail: Letter, name: str) -> None:
    """`name` is that of the file, where there is no server to send to: the same one again is the same mail. Raises
    Failed."""
    try:
        if settings.smtp_url:
            _through_server(settings, mail)
        else:
            _into_folder(settings.mail, mail, name)
    except (OSError, ValueError) as error:  # smtplib's errors are the former
        raise Failed(f"{type(error).__name__}: {error}") from error


def _through_server(settings: Settings, mail: Letter) -> None:
    parts = urlsplit(settings.smtp_url)
    server = _connected(parts)
    try:
        encrypted = parts.scheme == "smtps"
        if not encrypted and server.ehlo()[0] == 250 and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            encrypted = True
        if parts.username:
            peer = server.sock.getpeername()[0] if server.sock else ""
            if not may_log_in(peer, encrypted):
                raise Failed("the mail server offers no encryption, and a password is not sent without it")
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.sendmail(settings.mail_from, [mail.to], mail.data)
    finally:
        _leave(server)


def _connected(parts: SplitResult) -> smtplib.SMTP:
    import smtplib  # few servers are told of one

    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if parts.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=_SECONDS)


def may_log_in(peer: str, encrypted: bool) -> bool:
    """Whether a password may go to the server at the IP address `peer`: in the clear it stays on this machine."""
    return encrypted or ipaddress.ip_address(peer).is_loopback


def _leave(server: smtplib.SMTP) -> None:
    """Whatever the server says to that: the mail was taken, or was not, before."""
    try:
        server.quit()
    except OSError:  # smtplib's errors are such
        server.close()


def _into_folder(folder: Path, mail: Letter, name: str) -> None:
    """Whole or not at all, and durable."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{name}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(mail.data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / f"{name}.eml")
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
