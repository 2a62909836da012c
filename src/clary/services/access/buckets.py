"""Whose a bucket is, and who may come in by what is set on it."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.auth.policy import CURRENT, Policy, Side, Version
from clary.auth.principals import Principal
from clary.clock import Clock
from clary.services.s3 import acl, blocks, bucket_settings, index, ownership, policies, seeking
from clary.services.s3.index import Bucket
from clary.store.engine import Database

FRESH_SECONDS = 1.0  # how late a change that another server made to the same database may be noticed
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    account: str
    policy: Policy | None
    restricted: bool  # its policy is public and RestrictPublicBuckets holds
    bucket: Bucket
    listed: Policy | None  # what its access control list allows
    both: Policy | None  # that and the policy, as one: made once, since what is asked of a policy is remembered with it
    lists: bool  # whether such lists count, those of its objects too
    ignored: bool  # what they grant to everybody does not
    until: float


class Buckets:
    """Safe between threads. A change of this server's counts from its commit on (`forget` has to be told), one of
    another server on the same database within FRESH_SECONDS. That there is no such bucket is not remembered."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._changes = 0

    def forget(self, name: str) -> None:
        """What the bucket is set to has changed, or it is gone or new."""
        with self._lock:
            self._changes += 1
            self._known.pop(name, None)

    def forget_all(self) -> None:
        """Something was set that many buckets have."""
        with self._lock:
            self._changes += 1
            self._known.clear()

    def side(
        self, name: str, principal: Principal, action: str = "", key: str = "", version: Version = CURRENT
    ) -> Side | None:
        """Of the bucket, or of that version of an object where `action` is about one. None when there is no such
        bucket."""
        found = self._of(name)
        if found is None:
            return None
        home = principal.account == found.account or principal.kind == "service"
        policy = found.policy if home or not found.restricted else None
        if not found.lists:
            return Side(found.account, policy)
        if key and action in acl.OBJECT_ACTIONS and not version.new:  # a new one has no list yet
            return self._of_object(found, policy, key, version.id)
        return Side(found.account, found.listed if policy is None else found.both)

    def _of_object(self, found: _Known, policy: Policy | None, key: str, version: str | None) -> Side:
        """Objects that are another account's are no business of the bucket's policy, but for what it denies."""
        entry = self._database.read(lambda connection: seeking.present(connection, found.bucket, key, version))
        listed = entry.acl if entry else None
        if listed is None:
            return Side(found.account, policy)
        if policy is not None and listed["Owner"] != found.account:
            policy = dataclasses.replace(policy, statements=tuple(each for each in policy.statements if not each.allow))
        allowed = acl.of_object(listed, f"arn:aws:s3:::{found.bucket.name}/{key}", found.ignored)
        return Side(listed["Owner"], _together(policy, allowed))

    def _of(self, name: str) -> _Known | None:
        now = self._clock.monotonic()
        known = self._known.get(name)
        if known is not None and now < known.until:
            return known
        changes = self._changes  # what is told of from here on, the read may not see
        found = self._database.read(lambda connection: _look(connection, name, now + FRESH_SECONDS))
        with self._lock:
            if found is not None and changes == self._changes:
                self._known[name] = found
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return found


def _look(connection: Connection, name: str, until: float) -> _Known | None:
    bucket = index.find_bucket(connection, name)
    if bucket is None:
        return None
    policy = policies.of(connection, bucket)
    restricted = policy is not None and policies.restricted(connection, bucket, policy)
    if ownership.of(connection, bucket) == ownership.ENFORCED:
        return _Known(bucket.account, policy, restricted, bucket, None, policy, lists=False, ignored=True, until=until)
    ignored = bool(blocks.of(connection, bucket).get("IgnorePublicAcls"))
    listed = bucket_settings.find(connection, bucket, ownership.ACL)
    allowed = acl.of_bucket(listed, bucket.name, ignored) if listed else None
    both = _together(policy, allowed)
    return _Known(bucket.account, policy, restricted, bucket, allowed, both, lists=True, ignored=ignored, until=until)


def _together(one: Policy | None, other: Policy | None) -> Policy | None:
    if one is None or other is None:
        return one or other
    return dataclasses.replace(one, statements=(*one.statements, *other.statements))
