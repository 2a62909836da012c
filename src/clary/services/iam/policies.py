"""Managed policies: the account's own, in up to five versions, and AWS's, which nobody can change."""

from __future__ import annotations

from collections import Counter

from sqlalchemy.engine import Connection

from clary.services.iam import documents, errors, generation, shapes
from clary.services.iam.identifiers import unique_id
from clary.services.iam.managed import CREATED, MANAGED, ManagedPolicy
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Query, Record

operations = Operations()

_MOST_VERSIONS = 5
_LONGEST = 6144  # characters of a document, blanks not counted
_ALL = 1_000_000


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def path_of(arn: str) -> str:
    """`/` or `/some/path/`, of a policy's ARN."""
    return arn.partition(":policy")[2].rpartition("/")[0] + "/"


def attachable(connection: Connection, account: str, arn: str) -> bool:
    return arn in MANAGED or _own(connection, account, arn) is not None


def _own(connection: Connection, account: str, arn: str) -> Record | None:
    record = records.by_arn(connection, arn)
    return record if record is not None and (record.kind, record.account) == (shapes.POLICY, account) else None


def _find(connection: Connection, account: str, arn: str) -> Record:
    """The account's own policy, to change it. Raises ServiceError."""
    if arn in MANAGED:
        raise errors.denied(f"Cannot change the AWS managed policy {arn}.")
    record = _own(connection, account, arn)
    if record is None:
        raise errors.no_policy(arn)
    return record


def _attachments(connection: Connection, account: str) -> Counter[str]:
    """How many roles each policy is attached to, by ARN."""
    roles = records.select(connection, Query(shapes.ROLE, account, shapes.REGION, limit=_ALL))
    return Counter(arn for role in roles for arn in role.document["AttachedPolicies"])


def _shown(document: Document, attached: int, brief: bool = False) -> Document:
    answer = {name: value for name, value in document.items() if name not in ("Versions", "NextVersion")}
    for name in ("CreateDate", "UpdateDate"):
        answer[name] = shapes.when(answer[name])
    if brief:
        answer.pop("Tags", None)
        answer.pop("Description", None)
    return {**answer, "AttachmentCount": attached, "PermissionsBoundaryUsageCount": 0, "IsAttachable": True}


def _aws_document(policy: ManagedPolicy) -> Document:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": "/",
        "DefaultVersionId": "v1",
        "Description": policy.description,
        "CreateDate": CREATED,
        "UpdateDate": CREATED,
        "Tags": [],
        "Versions": {"v1": {"Document": policy.document, "CreateDate": CREATED}},
    }


def _document(connection: Connection, account: str, arn: str) -> Document:
    """Of an own or an AWS policy. Raises NoSuchEntity."""
    if arn in MANAGED:
        return _aws_document(MANAGED[arn])
    return _find(connection, account, arn).document


def _checked(text: str) -> str:
    if len("".join(text.split())) > _LONGEST:
        raise errors.limit(f"Cannot exceed quota for PolicySize: {_LONGEST}")
    return documents.check_identity(text)


@operations.handles("CreatePolicy")
def create_policy(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()
    path, name = given.get("Path") or "/", given["PolicyName"]
    arn = f"arn:aws:iam::{call.account}:policy{path}{name}"
    document: Document = {
        "PolicyName": name,
        "PolicyId": unique_id("ANPA"),
        "Arn": arn,
        "Path": path,
        "DefaultVersionId": "v1",
        "CreateDate": now,
        "UpdateDate": now,
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        "Versions": {"v1": {"Document": _checked(given["PolicyDocument"]), "CreateDate": now}},
        "NextVersion": 2,
    }
    if given.get("Description"):
        document["Description"] = given["Description"]
    record = Record(shapes.POLICY, call.account, shapes.REGION, arn, name, "", now, now, document)
    try:
        generation.write(call, lambda connection: records.insert(connection, record))
    except NameTaken:
        raise errors.exists(f"A policy called {name} already exists. Duplicate names are not allowed.") from None
    return {"Policy": _shown(document, 0)}


@operations.handles("GetPolicy")
def get_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        document = _document(connection, call.account, given["PolicyArn"])
        return {"Policy": _shown(document, _attachments(connection, call.account)[given["PolicyArn"]])}

    return call.platform.stores.records.read(work)


@operations.handles("ListPolicies")
def list_policies(call: Call, given: Document) -> Document:
    if given.get("PolicyUsageFilter") == "PermissionsBoundary":
        raise errors.not_built("ListPolicies", "PolicyUsageFilter=PermissionsBoundary")

    def work(connection: Connection) -> tuple[list[Document], Counter[str]]:
        own = records.select(connection, Query(shapes.POLICY, call.account, shapes.REGION, limit=_ALL))
        return [record.document for record in own], _attachments(connection, call.account)

    own, attached = call.platform.stores.records.read(work)
    scope, prefix = given.get("Scope", "All"), given.get("PathPrefix", "/")
    found = own if scope in ("All", "Local") else []
    if scope in ("All", "AWS"):
        found = [*found, *map(_aws_document, MANAGED.values())]
    found = [each for each in found if each["Path"].startswith(prefix)]
    if given.get("OnlyAttached"):
        found = [each for each in found if attached[each["Arn"]]]
    return shapes.page(
        found,
        given,
        "Policies",
        lambda each: _shown(each, attached[each["Arn"]], brief=True),
        lambda each: f"{each['PolicyName']} {each['Arn']}",
    )


@operations.handles("DeletePolicy")
def delete_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = _find(connection, call.account, given["PolicyArn"])
        if _attachments(connection, call.account)[record.arn]:
            raise errors.conflict("Cannot delete a policy attached to entities.")
        if len(record.document["Versions"]) > 1:
            message = "This policy has more than one version. Before you delete a policy, you must delete the "
            raise errors.conflict(f"{message}policy's versions. The default version is deleted with the policy.")
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


@operations.handles("CreatePolicyVersion")
def create_policy_version(call: Call, given: Document) -> Document:
    text, now = _checked(given["PolicyDocument"]), call.platform.clock.now()

    def work(connection: Connection) -> Document:
        record = _find(connection, call.account, given["PolicyArn"])
        old = record.document
        if len(old["Versions"]) >= _MOST_VERSIONS:
            message = "A managed policy can have up to 5 versions. Before you create a new version, "
            raise errors.limit(f"{message}you must delete an existing version.")
        version = f"v{old['NextVersion']}"
        document = {
            **old,
            "UpdateDate": now,
            "NextVersion": old["NextVersion"] + 1,
            "Versions": {**old["Versions"], version: {"Document": text, "CreateDate": now}},
        }
        if given.get("SetAsDefault"):
            document["DefaultVersionId"] = version
        records.replace(connection, record, document=document, modified=now)
        shown = _shown_version(document, version)
        del shown["Document"]
        return {"PolicyVersion": shown}

    return generation.write(call, work)


def _shown_version(document: Document, version: str) -> Document:
    """Raises NoSuchEntity."""
    found = document["Versions"].get(version)
    if found is None:
        message = f"Policy {document['Arn']} version {version} does not exist or is not attachable."
        raise errors.no_such(message)
    return {
        "Document": documents.quoted(found["Document"]),
        "VersionId": version,
        "IsDefaultVersion": version == document["DefaultVersionId"],
        "CreateDate": shapes.when(found["CreateDate"]),
    }


@operations.handles("GetPolicyVersion")
def get_policy_version(call: Call, given: Document) -> Document:
    document = call.platform.stores.records.read(
        lambda connection: _document(connection, call.account, given["PolicyArn"])
    )
    return {"PolicyVersion": _shown_version(document, given["VersionId"])}


@operations.handles("ListPolicyVersions")
def list_policy_versions(call: Call, given: Document) -> Document:
    document = call.platform.stores.records.read(
        lambda connection: _document(connection, call.account, given["PolicyArn"])
    )

    def shown(version: str) -> Document:
        answer = _shown_version(document, version)
        del answer["Document"]
        return answer

    return shapes.page(list(document["Versions"]), given, "Versions", shown, lambda name: f"{int(name[1:]):06d}")


@operations.handles("SetDefaultPolicyVersion")
def set_default_policy_version(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = _find(connection, call.account, given["PolicyArn"])
        _shown_version(record.document, given["VersionId"])
        now = call.platform.clock.now()
        document = {**record.document, "DefaultVersionId": given["VersionId"], "UpdateDate": now}
        records.replace(connection, record, document=document, modified=now)
        return {}

    return generation.write(call, work)


@operations.handles("DeletePolicyVersion")
def delete_policy_version(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = _find(connection, call.account, given["PolicyArn"])
        _shown_version(record.document, given["VersionId"])
        if given["VersionId"] == record.document["DefaultVersionId"]:
            raise errors.conflict("Cannot delete the default version of a policy.")
        versions = {name: each for name, each in record.document["Versions"].items() if name != given["VersionId"]}
        now = call.platform.clock.now()
        document = {**record.document, "Versions": versions, "UpdateDate": now}
        records.replace(connection, record, document=document, modified=now)
        return {}

    return generation.write(call, work)
