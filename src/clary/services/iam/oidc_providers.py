"""OpenID Connect providers: issuers of web identities that an account trusts."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, shapes, tags
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record

operations = Operations()

_MOST_CLIENTS = 100
_MOST_THUMBPRINTS = 5
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)


def provider_arn(account: str, url: str) -> str:
    """`url` with or without its scheme."""
    return f"arn:aws:iam::{account}:oidc-provider/{url.partition('://')[2] or url}"


def find(connection: Connection, account: str, arn: str) -> Record:
    """Raises NoSuchEntity. Its document has Url (with the scheme), ClientIDList, ThumbprintList and Tags."""
    record = records.by_arn(connection, arn)
    if record is None or (record.kind, record.account) != (shapes.OIDC_PROVIDER, account):
        raise errors.no_such(f"OpenIDConnect Provider not found for arn {arn}")
    return record


def _checked_url(url: str) -> str:
    """Issuers on this machine or in this network may speak HTTP, which AWS would not take."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise errors.invalid("Invalid Open ID Connect Provider URL")
    return url.rstrip("/")


def _checked_thumbprints(given: list[str]) -> list[str]:
    if len(given) > _MOST_THUMBPRINTS:
        raise errors.bad_input("Thumbprint list must contain fewer than 5 entries.")
    if not all(_THUMBPRINT.fullmatch(each) for each in given):
        raise errors.bad_input("A thumbprint is 40 hexadecimal digits.")
    return given


@operations.handles("CreateOpenIDConnectProvider")
def create_open_id_connect_provider(call: Call, given: Document) -> Document:
    now, url = call.platform.clock.now(), _checked_url(given["Url"])
    document = {
        "Url": url,
        "ClientIDList": list(dict.fromkeys(given.get("ClientIDList", ()))),
        "ThumbprintList": _checked_thumbprints(given.get("ThumbprintList", [])),
        "Tags": shapes.merged_tags((), given.get("Tags", ())),
    }
    _check_clients(document["ClientIDList"])
    arn = provider_arn(call.account, url)
    record = Record(shapes.OIDC_PROVIDER, call.account, shapes.REGION, arn, arn, "", now, now, document)
    try:
        generation.write(call, lambda connection: records.insert(connection, record))
    except NameTaken:
        raise errors.exists(f"Provider with url {url} already exists.") from None
    return {"OpenIDConnectProviderArn": arn, "Tags": document["Tags"]}


def _check_clients(clients: object) -> None:
    if isinstance(clients, list) and len(clients) > _MOST_CLIENTS:
        raise errors.limit(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {_MOST_CLIENTS}")


@operations.handles("GetOpenIDConnectProvider")
def get_open_id_connect_provider(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(
        lambda connection: find(connection, call.account, given["OpenIDConnectProviderArn"])
    )
    shown = {**record.document, "Url": record.document["Url"].partition("://")[2]}
    return {**shown, "CreateDate": shapes.when(record.created)}


@operations.handles("ListOpenIDConnectProviders")
def list_open_id_connect_providers(call: Call, given: Document) -> Document:
    found = call.platform.stores.records.read(
        lambda connection: entities.every(connection, shapes.OIDC_PROVIDER, call.account)
    )
    return {"OpenIDConnectProviderList": [{"Arn": record.arn} for record in found]}


@operations.handles("DeleteOpenIDConnectProvider")
def delete_open_id_connect_provider(call: Call, given: Document) -> Document:
    """One that is not there is deleted already, as AWS has it."""

    def work(connection: Connection) -> Document:
        record = records.by_arn(connection, given["OpenIDConnectProviderArn"])
        if record is not None and (record.kind, record.account) == (shapes.OIDC_PROVIDER, call.account):
            records.delete(connection, record)
        return {}

    return generation.write(call, work)


@operations.handles("AddClientIDToOpenIDConnectProvider")
def add_client_id(call: Call, given: Document) -> Document:
    def clients(old: list[str]) -> list[str]:
        new = [*old, *({given["ClientID"]} - set(old))]
        _check_clients(new)
        return new

    return _changed(call, given, lambda document: {"ClientIDList": clients(document["ClientIDList"])})


@operations.handles("RemoveClientIDFromOpenIDConnectProvider")
def remove_client_id(call: Call, given: Document) -> Document:
    return _changed(
        call,
        given,
        lambda document: {"ClientIDList": [each for each in document["ClientIDList"] if each != given["ClientID"]]},
    )


@operations.handles("UpdateOpenIDConnectProviderThumbprint")
def update_thumbprints(call: Call, given: Document) -> Document:
    thumbprints = _checked_thumbprints(given["ThumbprintList"])
    return _changed(call, given, lambda _: {"ThumbprintList": thumbprints})


def _changed(call: Call, given: Document, members: Callable[[Document], Document]) -> Document:
    def work(connection: Connection) -> Document:
        record = find(connection, call.account, given["OpenIDConnectProviderArn"])
        entities.change(call, connection, record, **members(record.document))
        return {}

    return generation.write(call, work)


tags.serve(operations, "OpenIDConnectProvider", "OpenIDConnectProviderArn", find)
