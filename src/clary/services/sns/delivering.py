"""Deliveries, carried out: what is due is handed to threads, of which there are few, and of which no subscription, no
host and no owner of topics has more than its share. What fails is tried again as the delivery policy says, and then
given up.

Every message is sent at least once to whoever takes it: who was killed between sending and noting it sends it again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.scheduler.signal import Signal
from clary.services.operation import Document
from clary.services.sns import (
    delivery_policies,
    documents,
    mailing,
    messages,
    outbox,
    posting,
    subscriptions,
    topic_records,
)
from clary.services.sns.addresses import Reach
from clary.services.sns.delivery_policies import Delivery as Policy
from clary.services.sns.documents import Writer
from clary.services.sns.outbox import Busy, Content, Delivery
from clary.services.sns.posting import Failed
from clary.services.sns.signing import Signer
from clary.store.records import Record

_LOG = logging.getLogger(__name__)
_AT_ONCE = 32  # deliveries under way
_EACH = 4  # of them, those of one subscription, and those to one host: silent ones keep theirs for long
_OF_OWNER = 16  # and those of one account's topics
_LONGEST_NAP = 30.0
_PAUSE = 1.0  # after a failure of ours
_AGENT = {"User-Agent": "Amazon Simple Notification Service Agent", "Accept-Encoding": "gzip,deflate"}


@dataclass(frozen=True, slots=True)
class _Errand:
    """A delivery with all that it needs."""

    content: Content
    subscription: Record
    topic: Document  # its attributes
    policy: Policy


class _Shares:
    """What deliveries under way have of the threads."""

    def __init__(self, under_way: Iterable[Delivery]) -> None:
        self._subscriptions: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()
        for each in under_way:
            self._count(each)

    def busy(self) -> Busy:
        return Busy(*(_full(*each) for each in self._bounds()))

    def take(self, delivery: Delivery) -> bool:
        """False when it would be more than its share."""
        busy = self.busy()
        if delivery.subscription in busy.subscriptions or delivery.host in busy.hosts or delivery.owner in busy.owners:
            return False
        self._count(delivery)
        return True

    def _count(self, delivery: Delivery) -> None:
        self._subscriptions[delivery.subscription] += 1
        self._hosts[delivery.host] += 1
        self._owners[delivery.owner] += 1

    def _bounds(self) -> Iterator[tuple[Counter[str], int]]:
        yield self._subscriptions, _EACH
        yield self._hosts, _EACH
        yield self._owners, _OF_OWNER


def _full(counts: Counter[str], most: int) -> list[str]:
    return [name for name, count in counts.items() if count >= most]


class Deliverer:
    """`signal` tells that there may be something to deliver."""

    def __init__(self, platform: Platform, signal: Signal) -> None:
        self._platform = platform
        self._signal = signal
        self._reach = Reach.of(platform.settings)
        self._mutex = threading.Lock()
        self._under_way: dict[int, Delivery] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._writer: Writer | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is under way is let go; whatever of it was not noted is sent again by the next server."""
        self._stopping.set()
        self._signal()
        self._thread.join()

    def _run(self) -> None:
        swept = False
        while not self._stopping.is_set():
            try:
                if not swept:
                    self._platform.stores.records.write(outbox.sweep)
                    swept = True
                nap = self._hand_out()
            except Exception:
                if not self._stopping.is_set():
                    _LOG.exception("deliveries could not be looked up; trying again")
                nap = _PAUSE
            self._signal.wait(nap)

    def _hand_out(self) -> float:
        """Starts what is due and has room; returns for how long nothing else will be due."""
        now = self._platform.clock.now()
        while due := self._due(now):
            self._begin(due)
        with self._mutex:
            if len(self._under_way) >= _AT_ONCE:  # the end of one ends the nap
                return _LONGEST_NAP
        later = self._platform.stores.records.read(lambda connection: outbox.later(connection, now))
        return _LONGEST_NAP if later is None else min(max(later - now, 0.0), _LONGEST_NAP)

    def _due(self, now: float) -> list[Delivery]:
        """What there is room for now."""
        with self._mutex:
            under_way = dict(self._under_way)
        shares = _Shares(under_way.values())
        room = min(_AT_ONCE - len(under_way), _EACH)
        if room <= 0:
            return []
        found = self._platform.stores.records.read(
            lambda connection: outbox.due(connection, now, under_way.keys(), shares.busy(), room)
        )
        return [each for each in found if shares.take(each)]

    def _begin(self, due: list[Delivery]) -> None:
        for each in due:
            with self._mutex:
                self._under_way[each.id] = each
            threading.Thread(target=self._deliver, args=(each,), name="delivery", daemon=True).start()

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._attempt(delivery)
        except Exception:  # of the stores: that is no fault of the endpoint's
            if not self._stopping.is_set():
                _LOG.exception("a delivery to %s could not be looked up or noted; trying again", delivery.subscription)
                self._stopping.wait(_PAUSE)
        finally:
            with self._mutex:
                del self._under_way[delivery.id]
            self._signal()

    def _attempt(self, delivery: Delivery) -> None:
        database, writer = self._platform.stores.records, self._ready()
        errand = database.read(lambda connection: _errand(connection, delivery))
        if errand is not None:
            try:
                self._send(errand, writer)
            except Exception as error:  # whatever it is, it must not come back at once and for ever
                self._failed(errand, delivery, error)
                return
        database.write(lambda connection: outbox.done(connection, delivery))

    def _failed(self, errand: _Errand, delivery: Delivery, error: Exception) -> None:
        """Notes when it is tried again, or that it is not."""
        if self._stopping.is_set() and not isinstance(error, Failed):
            return
        database, what = self._platform.stores.records, errand.content["MessageId"]
        final = isinstance(error, Failed) and error.final
        wait = None if final else _wait(errand.policy, delivery.attempts + 1)
        if wait is None:
            _LOG.warning("message %s for %s is given up: %s", what, delivery.subscription, _words(error))
            database.write(lambda connection: outbox.done(connection, delivery))
            return
        if delivery.attempts == 0 and not isinstance(error, Failed):
            _LOG.error("message %s for %s cannot be sent from here: %s", what, delivery.subscription, _words(error))
        at = self._platform.clock.now() + wait
        database.write(lambda connection: outbox.again(connection, delivery, at))

    def _ready(self) -> Writer:
        if self._writer is None:
            platform = self._platform
            self._writer = Writer(platform.settings, platform.secrets, Signer.of(platform))
        return self._writer

    def _send(self, errand: _Errand, writer: Writer) -> None:
        version = errand.topic.get("SignatureVersion", "1")
        document = writer.document(errand.content, errand.subscription, version)
        if errand.subscription.document["Protocol"].startswith("email"):
            self._mail(errand, document)
        else:
            _post(errand, document, self._reach)

    def _mail(self, errand: _Errand, document: Document) -> None:
        own, settings = errand.subscription, self._platform.settings
        json_wanted = own.document["Protocol"] == "email-json"
        text = documents.written(document).decode() if json_wanted else mailing.text(document)
        sender = errand.topic.get("DisplayName") or "AWS Notifications"
        mail = mailing.letter(settings, own.document["Endpoint"], sender, document, text)
        mailing.send(settings, mail, f"{document['MessageId']}-{own.arn.rpartition(':')[2]}")


def _wait(policy: Policy, failures: int) -> float | None:
    try:
        return policy.wait(failures)
    except Exception:  # it was kept when less was asked of a policy: the one that holds without any
        return Policy(delivery_policies.RETRIES, policy.content_type).wait(failures)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"


def _errand(connection: Connection, delivery: Delivery) -> _Errand | None:
    """None when it is nobody's any more."""
    content = outbox.content(connection, delivery)
    subscription = subscriptions.by_arn(connection, delivery.subscription)
    if content is None or subscription is None:
        return None
    topic = topic_records.by_arn(connection, content["TopicArn"])
    if topic is None:
        return None
    above, own = topic.document["Attributes"], subscription.document["Attributes"]
    policy = delivery_policies.of_subscription(above.get("DeliveryPolicy"), own.get("DeliveryPolicy"))
    if subscription.document["Protocol"].startswith("email"):
        policy = Policy(delivery_policies.OF_MAIL, policy.content_type)
    return _Errand(content, subscription, above, policy)


def _post(errand: _Errand, document: Document, reach: Reach) -> None:
    content, own = errand.content, errand.subscription
    notified = content["Type"] == messages.NOTIFICATION
    raw = notified and own.document["Attributes"].get("RawMessageDelivery") == "true"
    headers = {
        "x-amz-sns-message-type": content["Type"],
        "x-amz-sns-message-id": content["MessageId"],
        "x-amz-sns-topic-arn": content["TopicArn"],
        **({} if content["Type"] == messages.CONFIRMATION else {"x-amz-sns-subscription-arn": own.arn}),
        **({"x-amz-sns-rawdelivery": "true"} if raw else {}),
        "Content-Type": errand.policy.content_type,
        **_AGENT,
    }
    body = document["Message"].encode(errors="replace") if raw else documents.written(document)
    posting.post(own.document["Endpoint"], body, headers, reach)
