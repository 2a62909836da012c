"""The policies of a role: those written into it, and the managed ones attached to it."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import documents, errors, generation, policies, roles, shapes
from clary.services.operation import Call, Document, Operations

operations = Operations()

_MOST_ATTACHED = 10
_LONGEST_INLINE = 10_240  # characters of all inline policies of a role, blanks not counted


@operations.handles("PutRolePolicy")
def put_role_policy(call: Call, given: Document) -> Document:
    text = documents.check_identity(given["PolicyDocument"])

    def work(connection: Connection) -> Document:
        record = roles.find(connection, call.account, given["RoleName"])
        inline = {**record.document["InlinePolicies"], given["PolicyName"]: text}
        if sum(len("".join(each.split())) for each in inline.values()) > _LONGEST_INLINE:
            raise errors.limit(f"Maximum policy size of {_LONGEST_INLINE} bytes exceeded for role {record.name}")
        roles.change(call, connection, record, InlinePolicies=inline)
        return {}

    return generation.write(call, work)


@operations.handles("GetRolePolicy")
def get_role_policy(call: Call, given: Document) -> Document:
    inline = _inline(call, given)
    name = given["PolicyName"]
    if name not in inline:
        raise errors.no_such(f"The role policy with name {name} cannot be found.")
    return {"RoleName": given["RoleName"], "PolicyName": name, "PolicyDocument": documents.quoted(inline[name])}


@operations.handles("ListRolePolicies")
def list_role_policies(call: Call, given: Document) -> Document:
    return shapes.page(list(_inline(call, given)), given, "PolicyNames", str, str)


def _inline(call: Call, given: Document) -> dict[str, str]:
    inline: dict[str, str] = call.platform.stores.records.read(
        lambda connection: roles.find(connection, call.account, given["RoleName"]).document["InlinePolicies"]
    )
    return inline


@operations.handles("DeleteRolePolicy")
def delete_role_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = roles.find(connection, call.account, given["RoleName"])
        inline = dict(record.document["InlinePolicies"])
        if inline.pop(given["PolicyName"], None) is None:
            raise errors.no_such(f"The role policy with name {given['PolicyName']} cannot be found.")
        roles.change(call, connection, record, InlinePolicies=inline)
        return {}

    return generation.write(call, work)


@operations.handles("AttachRolePolicy")
def attach_role_policy(call: Call, given: Document) -> Document:
    arn = given["PolicyArn"]

    def work(connection: Connection) -> Document:
        record = roles.find(connection, call.account, given["RoleName"])
        if not policies.attachable(connection, call.account, arn):
            raise errors.no_such(f"Policy {arn} does not exist or is not attachable.")
        attached = record.document["AttachedPolicies"]
        if arn in attached:
            return {}
        if len(attached) >= _MOST_ATTACHED:
            raise errors.limit(f"Cannot exceed quota for PoliciesPerRole: {_MOST_ATTACHED}")
        roles.change(call, connection, record, AttachedPolicies=[*attached, arn])
        return {}

    return generation.write(call, work)


@operations.handles("DetachRolePolicy")
def detach_role_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = roles.find(connection, call.account, given["RoleName"])
        attached = list(record.document["AttachedPolicies"])
        if given["PolicyArn"] not in attached:
            raise errors.no_such(f"Policy {given['PolicyArn']} was not found.")
        attached.remove(given["PolicyArn"])
        roles.change(call, connection, record, AttachedPolicies=attached)
        return {}

    return generation.write(call, work)


@operations.handles("ListAttachedRolePolicies")
def list_attached_role_policies(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(
        lambda connection: roles.find(connection, call.account, given["RoleName"])
    )
    prefix = given.get("PathPrefix", "/")
    arns = [arn for arn in record.document["AttachedPolicies"] if policies.path_of(arn).startswith(prefix)]
    return shapes.page(
        arns,
        given,
        "AttachedPolicies",
        lambda arn: {"PolicyName": policies.name_of(arn), "PolicyArn": arn},
        policies.name_of,
    )
