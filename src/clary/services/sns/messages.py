"""Messages: what may be published, and how it is kept until it is sent.

A kept message is {"Type", "MessageId", "TopicArn", "Timestamp" (epoch seconds)}; a Notification has "Message", perhaps
"Messages" (protocol -> text, for those that get another one), "Subject", and "Attributes" (name -> {"Type", "Value"}).
"""

from __future__ import annotations

import base64
import json
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any

from clary.services.operation import Document
from clary.services.sns import faults

NOTIFICATION, CONFIRMATION, UNSUBSCRIBED = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
LONGEST = 262_144  # bytes, with the attributes

_LONGEST_SUBJECT = 100
_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_TYPES = ("Binary", "Number", "String")


def asking(kind: str, topic_arn: str, now: float) -> Document:
    """A message that asks for a confirmation."""
    return {"Type": kind, "MessageId": str(uuid.uuid4()), "TopicArn": topic_arn, "Timestamp": now}


def notification(topic_arn: str, given: Mapping[str, Any], now: float) -> Document:
    """Of the members of Publish, or of an entry of PublishBatch. Raises InvalidParameter, ParameterValueInvalid."""
    text = given["Message"]
    if not text:
        raise faults.invalid("Empty message")
    attributes = _attributes(given.get("MessageAttributes") or {})
    if size(given) > LONGEST:
        raise faults.invalid("Message too long")
    kept = {**asking(NOTIFICATION, topic_arn, now), "Message": text, "Attributes": attributes}
    if given.get("MessageStructure"):
        kept |= _structured(given["MessageStructure"], text)
    if given.get("Subject") is not None:
        kept["Subject"] = _subject(given["Subject"])
    _check_characters(kept)
    return kept


def size(given: Mapping[str, Any]) -> int:
    """What counts of a message, in bytes."""
    total = len(given["Message"].encode(errors="surrogatepass"))
    for name, value in (given.get("MessageAttributes") or {}).items():
        text = value.get("StringValue") or ""
        total += sum(len(each.encode(errors="surrogatepass")) for each in (name, value.get("DataType") or "", text))
        total += len(value.get("BinaryValue") or b"")
    return total


def text_for(kept: Mapping[str, Any], protocol: str) -> str:
    """The text that subscriptions of that protocol get."""
    return str((kept.get("Messages") or {}).get(protocol, kept["Message"]))


def _structured(structure: str, text: str) -> Document:
    if structure != "json":
        raise faults.invalid("MessageStructure")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise faults.invalid("Message Structure - JSON message body failed to parse") from None
    if not isinstance(found, dict) or not isinstance(found.get("default"), str):
        raise faults.invalid("Message Structure - No default entry in JSON message body")
    if not all(isinstance(each, str) for each in found.values()):
        raise faults.invalid("Message Structure - JSON message body failed to parse")
    return {"Message": found["default"], "Messages": found}


def _check_characters(kept: Document) -> None:
    """Half of a surrogate pair is no character: nothing could write it, or send it."""
    texts = [kept["Message"], *(kept.get("Messages") or {}), *(kept.get("Messages") or {}).values()]
    texts += [each[member] for each in kept["Attributes"].values() for member in ("Type", "Value")]
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        raise faults.invalid("Message Reason: it has characters that are none") from None


def _subject(text: str) -> str:
    if not 1 <= len(text) <= _LONGEST_SUBJECT or not text.isprintable() or text[0].isspace():
        raise faults.invalid("Subject")
    return text


def _attributes(given: Mapping[str, Mapping[str, Any]]) -> Document:
    return {name: _attribute(name, value) for name, value in given.items()}


def _attribute(name: str, given: Mapping[str, Any]) -> Document:
    _check_name(name)
    kind = given.get("DataType") or ""
    base = kind.partition(".")[0]
    if base not in _TYPES:
        raise faults.invalid_value(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String."
        )
    wanted = "Binary" if base == "Binary" else "String"
    value, other = given.get(f"{wanted}Value"), "String" if wanted == "Binary" else "Binary"
    if not value and given.get(f"{other}Value"):
        raise faults.invalid_value(f"The message attribute '{name}' with type '{kind}' must use field '{wanted}'.")
    if not value:
        raise faults.invalid_value(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute "
            f"type '{kind}'."
        )
    if base == "Number" and not _is_number(value):
        raise faults.invalid_value(f"Could not cast message attribute '{name}' value to number.")
    return {"Type": kind, "Value": base64.b64encode(value).decode() if wanted == "Binary" else value}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _check_name(name: str) -> None:
    if len(name) > 256:
        raise faults.invalid_value("Length of message attribute name must be less than 256 bytes.")
    if not _NAME.fullmatch(name):
        bad = next((each for each in name if not _NAME.fullmatch(each)), "")
        code = f"#x{ord(bad):X}" if bad else ""
        raise faults.invalid_value(
            f"Invalid non-alphanumeric character '{code}' was found in the message attribute name. Can only include "
            "alphanumeric characters, hyphens, underscores, or dots."
        )
    if name.startswith("."):
        raise faults.invalid_value("Invalid message attribute name starting with character '.' was found.")
    if name.endswith("."):
        raise faults.invalid_value("Invalid message attribute name ending with character '.' was found.")
    if ".." in name:
        raise faults.invalid_value("Message attribute name can not have successive '.' character.")
