"""What the operations of SNS ask for: most are about a topic; those about a subscription see whose it is themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clary.arns import Arn
from clary.auth.principals import ANONYMOUS
from clary.services import tagging
from clary.services.access.context import Keys, Tagged, of_tags
from clary.services.access.wanted import Wanted, keys_of, tags_of
from clary.services.operation import Call, Document

TOPICS = "arn:aws:sns:"

_AS_ANOTHER = {"PublishBatch": "Publish"}
_ABOUT_NONE = frozenset(
    {
        *("ListTopics", "ListSubscriptions", "GetSubscriptionAttributes", "SetSubscriptionAttributes"),
        *("Unsubscribe", "ConfirmSubscription"),
    }
)
_KEYS = {"sns:protocol": "Protocol", "sns:endpoint": "Endpoint"}


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    """Nothing of somebody without a signature: what such a one may ask for carries its proof."""
    if call.principal == ANONYMOUS:
        return
    operation = _AS_ANOTHER.get(call.operation, call.operation)
    if operation in _ABOUT_NONE:
        yield Wanted(f"SNS:{operation}")
        return
    resource = _resource(call, given)
    keys = Tagged("sns", lambda: _context(given), lambda: _tags(call, resource))
    yield Wanted(f"SNS:{operation}", resource, keys)
    if operation == "CreateTopic" and given.get("Tags"):
        yield Wanted("SNS:TagResource", resource, keys)


def _context(given: Document) -> Keys:
    keys: Keys = {**keys_of(given, _KEYS), **of_tags(tags_of(given.get("Tags")))}
    return {**keys, "aws:tagkeys": tuple(given["TagKeys"])} if given.get("TagKeys") else keys


def _tags(call: Call, topic: str) -> Mapping[str, str]:
    return call.platform.stores.records.read(lambda connection: tagging.of(connection, topic))


def _resource(call: Call, given: Document) -> str:
    for member in ("TopicArn", "TargetArn", "ResourceArn"):
        if given.get(member):
            return str(given[member])
    return str(Arn("sns", call.region, call.account, given["Name"])) if "Name" in given else "*"
