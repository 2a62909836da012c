"""Authorisation: every operation passes here before it runs, and nowhere else.

What an operation asks for is said by the modules of this folder, one for each service; what a caller may do by
`clary.auth.policy`. Operations that come to know only on their way what they need (each key of DeleteObjects, the key
behind a ciphertext) ask `Call.caller` themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from clary.auth.policy import Caller, Side, Version
from clary.auth.principals import Principal
from clary.clock import Clock
from clary.errors import ServiceError
from clary.services.access import ecr, iam, logs, passing, s3, s3control, sagemaker, sns
from clary.services.access.buckets import Buckets
from clary.services.access.context import RequestContext
from clary.services.access.denials import require
from clary.services.access.identities import FRESH_SECONDS, Identities
from clary.services.access.wanted import Wanted, Wants
from clary.services.ecr import policies as repository_policies
from clary.services.operation import Call, Document, Handler, Result
from clary.services.s3 import copying, faults
from clary.services.sns import topic_policies
from clary.store.engine import Database
from clary.wire.messages import Request


def _asked_later(_call: Call, _given: Document) -> Iterable[Wanted]:
    """Of services whose operations find on their way what they are about, and ask `Call.caller` then."""
    return ()


_WANTS: Mapping[str, Wants] = {
    "ecr": ecr.wanted,
    "iam": iam.wanted,
    "kms": _asked_later,
    "logs": logs.wanted,
    "s3": s3.wanted,
    "s3control": s3control.wanted,
    "sagemaker": sagemaker.wanted,
    "sagemaker-runtime": sagemaker.wanted,
    "sns": sns.wanted,
    "sts": iam.of_sts,
}
_BUCKETS = "arn:aws:s3:::"
_ASSUMING = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity")
# After these a bucket is not what it was.
_CHANGING = frozenset(
    {
        *("CreateBucket", "DeleteBucket", "PutBucketPolicy", "DeleteBucketPolicy"),
        *("PutPublicAccessBlock", "DeletePublicAccessBlock", "PutBucketAcl"),
        *("PutBucketOwnershipControls", "DeleteBucketOwnershipControls"),
    }
)
_MISSING = {"NoSuchKey": "s3:ListBucket", "NoSuchVersion": "s3:ListBucketVersions"}


class Authority:
    """Decides for one server; safe between threads. It reads the `records` of IAM, and the `objects` index with the
    registry beside it.
    `fresh_seconds`: how late changes of policies may count that `changed` is not told of."""

    def __init__(
        self, records: Database, objects: Database, clock: Clock, fresh_seconds: float = FRESH_SECONDS
    ) -> None:
        self._records = records
        self._objects = objects
        self._clock = clock
        self._identities = Identities(records, clock, fresh_seconds)
        self._buckets = Buckets(objects, clock)

    def changed(self, arns: Set[str]) -> None:
        """Of records that a commit replaced or deleted; nothing that it made untrue is used afterwards."""
        self._identities.changed(arns)

    def caller(self, principal: Principal, request: Request, region: str) -> Caller:
        identity = self._identities.of(principal)
        context = RequestContext(principal, request, region, self._clock.now(), identity.facts)
        return Caller(principal, identity, context, self._side)

    def perform(self, call: Call, given: Document, handler: Handler) -> Result:
        """The operation's answer, once it is authorised. Raises ServiceError."""
        self.authorise(call, given)
        try:
            return handler(call, given)
        except ServiceError as error:
            raise _as_told(call, given, error) from None
        finally:
            if call.operation in _CHANGING and call.service == "s3":
                self._buckets.forget(given["Bucket"])
            elif call.service == "s3control":
                self._buckets.forget_all()

    def authorise(self, call: Call, given: Document) -> None:
        """Raises the service's denial of the first action that the caller may not take."""
        inside = call.service == "s3" and call.operation != "CreateBucket"
        entered = given.get("Bucket") if inside else None
        if entered is not None:
            self._enter(call.principal, entered)
        for wanted in _WANTS.get(call.service, _by_name)(call, given):
            if inside and wanted.resource.startswith(_BUCKETS):
                bucket = wanted.resource.removeprefix(_BUCKETS).partition("/")[0]
                if bucket != entered:  # one that is copied from
                    self._enter(call.principal, bucket)
            require(call, wanted)

    def _enter(self, principal: Principal, bucket: str) -> None:
        """Raises NoSuchBucket: whether one is there is no secret, their names are shared by all accounts."""
        if self._buckets.side(bucket, principal) is None:
            raise faults.no_such_bucket(bucket)

    def _side(self, principal: Principal, action: str, resource: str, version: Version) -> Side:
        if resource.startswith(_BUCKETS):
            name, _, key = resource.removeprefix(_BUCKETS).partition("/")
            # One that is to be created is nobody's yet; of all others it is known that they are there.
            if version.new and not key:
                return Side()
            return self._buckets.side(name, principal, action, key, version) or Side()
        if action.lower().startswith(_ASSUMING):
            return self._records.read(lambda connection: passing.trust(connection, resource))
        if resource.startswith(sns.TOPICS):
            topic = self._records.read(lambda connection: topic_policies.side(connection, resource))
            if topic is not None:
                return topic
        if resource.startswith(ecr.REPOSITORIES):
            repository = self._objects.read(lambda connection: repository_policies.side(connection, resource))
            if repository is not None:
                return repository
        account = resource.split(":", 5)[4] if resource.startswith("arn:") and resource.count(":") >= 5 else ""
        return Side(account if account.isdigit() else "")


def _by_name(call: Call, _given: Document) -> Iterable[Wanted]:
    """Of services whose actions are named as their operations and whose resources are not told apart."""
    return (Wanted(f"{call.service}:{call.operation}"),)


def _as_told(call: Call, given: Document, error: ServiceError) -> ServiceError:
    """Whether an object is there is told only to whom the listing is."""
    action = _MISSING.get(error.code) if call.service == "s3" else None
    if action is None:
        return error
    bucket, key = given["Bucket"], given.get("Key") or ""
    if given.get("CopySource"):
        bucket, key = copying.source_of(given["CopySource"])[:2]
    try:
        require(call, Wanted(action, s3.bucket_arn(bucket), {"s3:prefix": (key,)}))
    except ServiceError as refused:
        return refused
    return error
