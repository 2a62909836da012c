"""Bucket policies and Block Public Access: stored, judged, handed out."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.auth.policy import MalformedPolicy, Policy, parse
from clary.auth.policy import checks as policy_checks
from clary.errors import ServiceError
from clary.services.iam import principals
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import blocks, bucket_settings, configuration, options, public
from clary.services.s3.index import Bucket

operations = Operations()

POLICY = "Policy"
_LONGEST = 20_480  # bytes


def of(connection: Connection, bucket: Bucket) -> Policy | None:
    """The bucket's policy."""
    text = bucket_settings.find(connection, bucket, POLICY)
    return None if text is None else parse(text, f"arn:aws:s3:::{bucket.name}")


def restricted(connection: Connection, bucket: Bucket, policy: Policy) -> bool:
    """Whether nobody of another account, and nobody without one, may come in by this policy."""
    return public.is_public(policy) and bool(blocks.of(connection, bucket).get("RestrictPublicBuckets"))


@operations.handles("PutBucketPolicy")
@options.understands("ChecksumAlgorithm", "ContentMD5", "ConfirmRemoveSelfBucketAccess", "Policy")
def put_bucket_policy(call: Call, given: Document) -> Document:
    policy = _checked(given["Policy"], given["Bucket"])

    def blocked(connection: Connection, bucket: Bucket) -> None:
        if blocks.of(connection, bucket).get("BlockPublicPolicy") and public.is_public(policy):
            message = (
                f"User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
                f'"arn:aws:s3:::{bucket.name}" because public policies are prevented by the BlockPublicPolicy setting '
                "in S3 Block Public Access."
            )
            raise ServiceError("AccessDenied", message, 403)

    configuration.put(call, given, POLICY, _pinned(call, given["Policy"]), blocked)
    return {}


def _pinned(call: Call, text: str) -> str:
    """As it is stored. Raises MalformedPolicy when it names somebody who is not there."""
    try:
        return call.platform.stores.records.read(lambda connection: principals.pin(connection, text))
    except principals.UnknownPrincipal as error:
        detail = {"Detail": f'"{error.kind}" : "{error.name}"'}
        raise ServiceError("MalformedPolicy", "Invalid principal in policy", 400, detail) from None


def _checked(text: str, bucket: str) -> Policy:
    """Raises MalformedPolicy, S3's."""
    if len(text.encode()) > _LONGEST:
        raise _malformed("Policy size exceeds the maximum allowed size of 20480 bytes.")
    try:
        policy = parse(text, f"arn:aws:s3:::{bucket}")
        for statement in policy.statements:
            for pattern in statement.actions.patterns if statement.actions else ():
                policy_checks.action(pattern.text)
    except MalformedPolicy as error:
        if error.not_json:
            raise _malformed("Policies must be valid JSON and the first byte must be '{'") from None
        raise _malformed(error.message) from None
    for statement in policy.statements:
        if statement.whom is None:
            raise _malformed("Missing required field Principal")
        if statement.actions is None or not statement.actions.patterns:
            raise _malformed("Missing required field Action")
        if statement.resources is None or not statement.resources.patterns:
            raise _malformed("Missing required field Resource")
        if not all(_acts_on_s3(pattern.text) for pattern in statement.actions.patterns):
            raise _malformed("Policy has invalid action")
        own = (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/")
        for pattern in statement.resources.patterns:
            if pattern.text != own[0] and not pattern.text.startswith(own[1]) and not _covers(pattern.text, bucket):
                raise _malformed("Policy has invalid resource")
    return policy


def _acts_on_s3(action: str) -> bool:
    return action == "*" or action.lower().startswith("s3:")


def _covers(resource: str, bucket: str) -> bool:
    """Whether a resource with wildcards in the bucket's name may be of this bucket."""
    head = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    return resource == "*" or (
        resource.startswith("arn:aws:s3:::") and bucket.startswith(head.partition("*")[0]) and "*" in head
    )


def _malformed(message: str) -> ServiceError:
    return ServiceError("MalformedPolicy", message, 400)


@operations.handles("GetBucketPolicy")
@options.understands()
def get_bucket_policy(call: Call, given: Document) -> Document:
    stored = _stored(call, given)
    return {"Policy": call.platform.stores.records.read(lambda connection: principals.show(connection, stored))}


def _stored(call: Call, given: Document) -> str:
    text = configuration.get(call, given, POLICY)
    if text is None:
        raise configuration.absent(given, "NoSuchBucketPolicy", "The bucket policy does not exist")
    return str(text)


@operations.handles("DeleteBucketPolicy")
@options.understands()
def delete_bucket_policy(call: Call, given: Document) -> Document:
    configuration.delete(call, given, POLICY)
    return {}


@operations.handles("GetBucketPolicyStatus")
@options.understands()
def get_bucket_policy_status(call: Call, given: Document) -> Document:
    return {"PolicyStatus": {"IsPublic": public.is_public(parse(_stored(call, given)))}}


@operations.handles("PutPublicAccessBlock")
@options.understands("ChecksumAlgorithm", "ContentMD5", "PublicAccessBlockConfiguration")
def put_public_access_block(call: Call, given: Document) -> Document:
    configuration.put(call, given, blocks.NAME, blocks.complete(given["PublicAccessBlockConfiguration"]))
    return {}


@operations.handles("GetPublicAccessBlock")
@options.understands()
def get_public_access_block(call: Call, given: Document) -> Document:
    found = configuration.get(call, given, blocks.NAME)
    if found == {}:
        raise configuration.absent(
            given, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"
        )
    return {"PublicAccessBlockConfiguration": dict(blocks.ALL) if found is None else found}


@operations.handles("DeletePublicAccessBlock")
@options.understands()
def delete_public_access_block(call: Call, given: Document) -> Document:
    """Kept as nothing: not being set is what a new bucket has, and means that everything is blocked."""
    configuration.put(call, given, blocks.NAME, {})
    return {}
