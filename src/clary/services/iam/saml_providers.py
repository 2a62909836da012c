"""SAML providers: identity providers whose signed assertions an account trusts."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, saml_metadata, shapes, tags
from clary.services.iam.identifiers import unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record
from clary.store.schema import records as table

operations = Operations()

_MOST_PROVIDERS = 100
_LONGEST_VALID = 100 * 365.25 * 86_400  # seconds, for metadata that do not say how long they are good
_COUNT = sa.select(sa.func.count()).where(
    table.c.kind == shapes.SAML_PROVIDER, table.c.account == sa.bindparam("owner"), table.c.region == shapes.REGION
)
_ENCRYPTED = ("AssertionEncryptionMode", "AddPrivateKey")


def provider_arn(account: str, name: str) -> str:
    return f"arn:aws:iam::{account}:saml-provider/{name}"


def find(connection: Connection, account: str, arn: str) -> Record:
    """Raises NoSuchEntity. Its document has SAMLMetadataDocument, SAMLProviderUUID, Tags, and what the metadata say:
    Entity, Certificates (base64 of DER) and ValidUntil (epoch seconds)."""
    record = records.by_arn(connection, arn)
    if record is None or (record.kind, record.account) != (shapes.SAML_PROVIDER, account):
        raise errors.no_such(f"Manifest not found for arn {arn}")
    return record


@operations.handles("CreateSAMLProvider")
def create_saml_provider(call: Call, given: Document) -> Document:
    _refuse_encryption(call, given)
    now, name, arn = call.platform.clock.now(), given["Name"], provider_arn(call.account, given["Name"])
    document = {
        "SAMLProviderUUID": unique_id("SAMLSP"),
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
        **_described(given["SAMLMetadataDocument"], now),
    }
    record = Record(shapes.SAML_PROVIDER, call.account, shapes.REGION, arn, name, "", now, now, document)

    def work(connection: Connection) -> None:
        if connection.execute(_COUNT, {"owner": call.account}).scalar_one() >= _MOST_PROVIDERS:
            raise errors.limit(f"Cannot exceed quota for SAMLProvidersPerAccount: {_MOST_PROVIDERS}")
        records.insert(connection, record)

    try:
        generation.write(call, work)
    except NameTaken:
        raise errors.exists(f"SAMLProvider with name {name} already exists.") from None
    return {"SAMLProviderArn": arn, "Tags": document["Tags"]}


def _described(text: str, now: float) -> Document:
    read = saml_metadata.read(text)
    return {
        "SAMLMetadataDocument": text,
        "Entity": read.entity,
        "Certificates": read.certificates,
        "ValidUntil": now + _LONGEST_VALID if read.valid_until is None else read.valid_until,
    }


def _refuse_encryption(call: Call, given: Document) -> None:
    for member in _ENCRYPTED:
        if given.get(member):
            raise errors.not_built(call.operation, member)


@operations.handles("GetSAMLProvider")
def get_saml_provider(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(
        lambda connection: find(connection, call.account, given["SAMLProviderArn"])
    )
    shown = {name: record.document[name] for name in ("SAMLMetadataDocument", "SAMLProviderUUID", "Tags")}
    return {**shown, **_dates(record)}


@operations.handles("ListSAMLProviders")
def list_saml_providers(call: Call, given: Document) -> Document:
    found = call.platform.stores.records.read(
        lambda connection: entities.every(connection, shapes.SAML_PROVIDER, call.account)
    )
    return {"SAMLProviderList": [{"Arn": record.arn, **_dates(record)} for record in found]}


def _dates(record: Record) -> Document:
    return {"CreateDate": shapes.when(record.created), "ValidUntil": shapes.when(record.document["ValidUntil"])}


@operations.handles("UpdateSAMLProvider")
def update_saml_provider(call: Call, given: Document) -> Document:
    _refuse_encryption(call, given)
    if given.get("RemovePrivateKey"):
        raise errors.not_built("UpdateSAMLProvider", "RemovePrivateKey")
    text = given.get("SAMLMetadataDocument")
    members = {} if text is None else _described(text, call.platform.clock.now())

    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["SAMLProviderArn"])
        return {"SAMLProviderArn": entities.change(call, connection, record, **members).arn}

    return generation.write(call, work)


@operations.handles("DeleteSAMLProvider")
def delete_saml_provider(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        records.delete(connection, find(connection, call.account, given["SAMLProviderArn"]))
        return {}

    return generation.write(call, work)


tags.serve(operations, "SAMLProvider", "SAMLProviderArn", find)
