"""Messages as they are sent: the document of SNS with its signature, or the text alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from clary.config import Settings
from clary.secrets import RootKey
from clary.services.operation import Document
from clary.services.sns import messages, tokens
from clary.services.sns.outbox import Content
from clary.services.sns.signing import Signer
from clary.store.records import Record

_SIGNED = {
    messages.NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    messages.CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_TEXTS = {
    messages.CONFIRMATION: (
        "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL "
        "included in this message."
    ),
    messages.UNSUBSCRIBED: (
        "You have chosen to deactivate subscription {subscription}.\nTo cancel this operation and restore the "
        "subscription, visit the SubscribeURL included in this message."
    ),
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes messages for subscriptions. `signer` signs them."""

    settings: Settings
    secrets: RootKey
    signer: Signer

    def document(self, content: Content, subscription: Record, version: str) -> Document:
        """The message as its members; `version` is that of the signature."""
        kind, topic = content["Type"], content["TopicArn"]
        shown: Document = {"Type": kind, "MessageId": content["MessageId"]}
        if kind == messages.NOTIFICATION:
            shown["TopicArn"] = topic
            shown |= {"Subject": content["Subject"]} if "Subject" in content else {}
            shown["Message"] = messages.text_for(content, subscription.document["Protocol"])
        else:
            token = tokens.token(self.secrets, subscription)
            shown |= {"Token": token, "TopicArn": topic}
            shown["Message"] = _TEXTS[kind].format(topic=topic, subscription=subscription.arn)
            shown["SubscribeURL"] = self._link("ConfirmSubscription", TopicArn=topic, Token=token)
        shown["Timestamp"] = _time(content["Timestamp"])
        shown["SignatureVersion"] = version
        shown["Signature"] = self.signer.sign(_signed_text(shown), version)
        shown["SigningCertURL"] = f"{self.settings.reached_at}{self.signer.path}"
        if kind == messages.NOTIFICATION:
            shown["UnsubscribeURL"] = self.unsubscribe_url(subscription)
            if content["Attributes"]:
                shown["MessageAttributes"] = content["Attributes"]
        return shown

    def unsubscribe_url(self, subscription: Record) -> str:
        return self._link("Unsubscribe", SubscriptionArn=subscription.arn)

    def _link(self, action: str, **given: str) -> str:
        asked = "".join(f"&{name}={quote(value, safe=':')}" for name, value in given.items())
        return f"{self.settings.reached_at}/?Action={action}{asked}"


def written(document: Mapping[str, object]) -> bytes:
    """As AWS lays it out."""
    return json.dumps(document, ensure_ascii=False, indent=2, separators=(",", " : ")).encode(errors="replace")


def _signed_text(shown: Document) -> str:
    names = _SIGNED.get(shown["Type"], _SIGNED[messages.CONFIRMATION])
    return "".join(f"{name}\n{shown[name]}\n" for name in names if name in shown)


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
