"""Managed policies: the account's own, and AWS's, which nobody can change."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import documents, entities, errors, generation, managed, policy_usage, shapes, tags
from clary.services.iam.identifiers import unique_id
from clary.services.iam.managed import ManagedPolicy
from clary.services.iam.policy_usage import Usage
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_LONGEST = 6144  # characters of a document, blanks not counted
_OURS = ("Versions", "NextVersion")


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def path_of(arn: str) -> str:
    """`/` or `/some/path/`, of a policy's ARN."""
    return arn.partition(":policy")[2].rpartition("/")[0] + "/"


def reference(arn: str) -> Document:
    """As lists of attached policies show one."""
    return {"PolicyName": name_of(arn), "PolicyArn": arn}


def attachable(connection: Connection, account: str, arn: str) -> bool:
    return managed.find(arn) is not None or _own(connection, account, arn) is not None


def check_boundary(connection: Connection, account: str, arn: str) -> None:
    """Raises NoSuchEntity."""
    if not attachable(connection, account, arn):
        raise errors.no_such(f"Scope ARN: {arn} does not exist or is not attachable.")


def _own(connection: Connection, account: str, arn: str) -> Record | None:
    record = records.by_arn(connection, arn)
    return record if record is not None and (record.kind, record.account) == (shapes.POLICY, account) else None


def find_own(connection: Connection, account: str, arn: str) -> Record:
    """The account's own policy, to change it. Raises ServiceError."""
    if managed.find(arn) is not None:
        raise errors.denied(f"Cannot change the AWS managed policy {arn}.")
    record = _own(connection, account, arn)
    if record is None:
        raise errors.no_policy(arn)
    return record


def document_of(connection: Connection, account: str, arn: str) -> Document:
    """Of an own or an AWS policy. Raises NoSuchEntity."""
    known = managed.find(arn)
    return aws_document(known) if known is not None else find_own(connection, account, arn).document


def aws_document(policy: ManagedPolicy) -> Document:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": "v1",
        "Description": policy.description,
        "CreateDate": managed.CREATED,
        "UpdateDate": managed.CREATED,
        "Tags": [],
        "Versions": {"v1": {"Document": policy.document, "CreateDate": managed.CREATED}},
    }


def shown(document: Document, usage: Usage, brief: bool = False) -> Document:
    """As answers show a policy; `brief` as listings do, without tags and description."""
    answer = {name: value for name, value in document.items() if name not in _OURS}
    for name in ("CreateDate", "UpdateDate"):
        answer[name] = shapes.when(answer[name])
    if brief:
        answer.pop("Tags", None)
        answer.pop("Description", None)
    counts = {
        "AttachmentCount": usage.attached[document["Arn"]],
        "PermissionsBoundaryUsageCount": usage.boundaries[document["Arn"]],
    }
    return {**answer, **counts, "IsAttachable": True}


def checked(text: str) -> str:
    """Raises LimitExceeded, MalformedPolicyDocument."""
    if documents.size(text) > _LONGEST:
        raise errors.limit(f"Cannot exceed quota for PolicySize: {_LONGEST}")
    return documents.check_identity(text, newest=True)


@operations.handles("CreatePolicy")
def create_policy(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()
    path, name = given.get("Path") or "/", given["PolicyName"]
    document: Document = {
        "PolicyName": name,
        "PolicyId": unique_id("ANPA"),
        "Arn": f"arn:aws:iam::{call.account}:policy{path}{name}",
        "Path": path,
        "DefaultVersionId": "v1",
        "CreateDate": now,
        "UpdateDate": now,
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        "Versions": {"v1": {"Document": checked(given["PolicyDocument"]), "CreateDate": now}},
        "NextVersion": 2,
    }
    if given.get("Description"):
        document["Description"] = given["Description"]
    record = Record(shapes.POLICY, call.account, shapes.REGION, document["Arn"], name, "", now, now, document)
    taken = f"A policy called {name} already exists. Duplicate names are not allowed."
    generation.write(call, lambda connection: entities.enter(connection, record, taken))
    return {"Policy": shown(document, policy_usage.NONE)}


@operations.handles("GetPolicy")
def get_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        document = document_of(connection, call.account, given["PolicyArn"])
        return {"Policy": shown(document, policy_usage.of_account(connection, call.account))}

    return call.platform.stores.records.read(work)


@operations.handles("ListPolicies")
def list_policies(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> tuple[list[Document], Usage]:
        own = entities.every(connection, shapes.POLICY, call.account)
        return [record.document for record in own], policy_usage.of_account(connection, call.account)

    own, usage = call.platform.stores.records.read(work)
    scope, prefix = given.get("Scope", "All"), given.get("PathPrefix", "/")
    found = own if scope in ("All", "Local") else []
    if scope in ("All", "AWS"):
        found = [*found, *map(aws_document, managed.every())]
    return shapes.page(
        [each for each in found if each["Path"].startswith(prefix) and _wanted(each["Arn"], usage, given)],
        given,
        "Policies",
        lambda each: shown(each, usage, brief=True),
        lambda each: f"{each['PolicyName']} {each['Arn']}",
    )


def _wanted(arn: str, usage: Usage, given: Document) -> bool:
    match given.get("PolicyUsageFilter"):
        case "PermissionsBoundary":
            used = usage.boundaries[arn]
        case "PermissionsPolicy":
            used = usage.attached[arn]
        case _:
            used = usage.attached[arn] + usage.boundaries[arn]
    return used > 0 or not given.get("OnlyAttached")


@operations.handles("DeletePolicy")
def delete_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find_own(connection, call.account, given["PolicyArn"])
        usage = policy_usage.of_account(connection, call.account)
        if usage.attached[record.arn] or usage.boundaries[record.arn]:
            raise errors.conflict("Cannot delete a policy attached to entities.")
        if len(record.document["Versions"]) > 1:
            message = "This policy has more than one version. Before you delete a policy, you must delete the "
            raise errors.conflict(f"{message}policy's versions. The default version is deleted with the policy.")
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


tags.serve(operations, "Policy", "PolicyArn", find_own)
