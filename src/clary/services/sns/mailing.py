"""Messages as mail: through the SMTP server of the settings, or else as .eml files in a folder."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from clary.config import Settings
from clary.services.sns.posting import Failed

_SECONDS = 15.0
_SUBJECTS = {
    "SubscriptionConfirmation": "AWS Notification - Subscription Confirmation",
    "UnsubscribeConfirmation": "AWS Notification - Unsubscribe Confirmation",
}
_PORTS = {"smtp": 25, "smtps": 465}


def text(document: Mapping[str, Any]) -> str:
    """What people read, of a message's document."""
    if document["Type"] != "Notification":
        return f"{document['Message']}\n\n{document['SubscribeURL']}\n"
    return (
        f"{document['Message']}\n\n--\nIf you wish to stop receiving notifications from this topic, please visit the "
        f"link below to unsubscribe:\n{document['UnsubscribeURL']}\n"
    )


def letter(settings: Settings, to: str, sender: str, document: Mapping[str, Any], content: str) -> EmailMessage:
    """`sender` is the name that is shown; `content` the text."""
    made = EmailMessage(SMTP)
    user, _, domain = settings.mail_from.rpartition("@")
    made["From"] = Address(sender, user, domain)
    made["To"] = to
    made["Subject"] = document.get("Subject") or _SUBJECTS.get(document["Type"], "AWS Notification Message")
    made["Date"] = datetime.fromisoformat(document["Timestamp"])
    made["Message-ID"] = f"<{document['MessageId']}@{domain}>"
    made.set_content(content, cte="base64")
    return made


def send(settings: Settings, mail: EmailMessage, name: str) -> None:
    """`name` is that of the file, where there is no server to send to: the same one again is the same mail. Raises
    Failed."""
    try:
        if settings.smtp_url:
            _through_server(settings.smtp_url, mail)
        else:
            _into_folder(settings.mail, mail, name)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error


def _through_server(url: str, mail: EmailMessage) -> None:
    parts = urlsplit(url)
    host, port, trust = parts.hostname or "", parts.port or _PORTS[parts.scheme], ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=trust)
    else:
        server = smtplib.SMTP(host, port, timeout=_SECONDS)
    with server:
        if parts.scheme == "smtp" and server.ehlo()[0] == 250 and server.has_extn("starttls"):
            server.starttls(context=trust)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(mail)


def _into_folder(folder: Path, mail: EmailMessage, name: str) -> None:
    """Whole or not at all, and durable."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{name}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(mail.as_bytes())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / f"{name}.eml")
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
