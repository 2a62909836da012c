"""The versions of a managed policy: up to five, one of them the default."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import documents, errors, generation, shapes
from clary.services.iam.policies import checked, document_of, find_own
from clary.services.operation import Call, Document, Operations
from clary.store import records

operations = Operations()

_MOST = 5


@operations.handles("CreatePolicyVersion")
def create_policy_version(call: Call, given: Document) -> Document:
    text, now = checked(given["PolicyDocument"]), call.platform.clock.now()

    def work(connection: Connection) -> Document:
        record = find_own(connection, call.account, given["PolicyArn"])
        old = record.document
        if len(old["Versions"]) >= _MOST:
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
        return {"PolicyVersion": _brief(document, version)}

    return generation.write(call, work)


def shown(document: Document, version: str) -> Document:
    """As answers show a version of that policy. Raises NoSuchEntity."""
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


def _brief(document: Document, version: str) -> Document:
    answer = shown(document, version)
    del answer["Document"]
    return answer


@operations.handles("GetPolicyVersion")
def get_policy_version(call: Call, given: Document) -> Document:
    return {"PolicyVersion": shown(_document(call, given), given["VersionId"])}


@operations.handles("ListPolicyVersions")
def list_policy_versions(call: Call, given: Document) -> Document:
    document = _document(call, given)
    return shapes.page(
        list(document["Versions"]),
        given,
        "Versions",
        lambda name: _brief(document, name),
        lambda name: f"{int(name[1:]):06d}",
    )


def _document(call: Call, given: Document) -> Document:
    return call.platform.stores.records.read(
        lambda connection: document_of(connection, call.account, given["PolicyArn"])
    )


@operations.handles("SetDefaultPolicyVersion")
def set_default_policy_version(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find_own(connection, call.account, given["PolicyArn"])
        shown(record.document, given["VersionId"])
        now = call.platform.clock.now()
        document = {**record.document, "DefaultVersionId": given["VersionId"], "UpdateDate": now}
        records.replace(connection, record, document=document, modified=now)
        return {}

    return generation.write(call, work)


@operations.handles("DeletePolicyVersion")
def delete_policy_version(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = find_own(connection, call.account, given["PolicyArn"])
        shown(record.document, given["VersionId"])
        if given["VersionId"] == record.document["DefaultVersionId"]:
            raise errors.conflict("Cannot delete the default version of a policy.")
        versions = {name: each for name, each in record.document["Versions"].items() if name != given["VersionId"]}
        now = call.platform.clock.now()
        document = {**record.document, "Versions": versions, "UpdateDate": now}
        records.replace(connection, record, document=document, modified=now)
        return {}

    return generation.write(call, work)
