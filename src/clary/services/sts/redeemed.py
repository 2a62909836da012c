"""SAML assertions that were redeemed: each opens a role once.

AWS's tools open several roles with one assertion, so it is spent for each of them alone.
"""

from __future__ import annotations

import hashlib

from sqlalchemy.engine import Connection

from clary.services.iam import shapes
from clary.services.sts.assertions import LEEWAY_SECONDS, REDEEMABLE_SECONDS
from clary.services.sts.federation import invalid
from clary.store import records
from clary.store.records import NameTaken, Record
from clary.store.schema import records as table

_KIND = "sts-saml-assertion"
# Twice as long as one could still be redeemed: clocks are set back.
_KEPT_SECONDS = 2 * (REDEEMABLE_SECONDS + LEEWAY_SECONDS)


def note(connection: Connection, provider: Record, assertion: str, role: str, now: float) -> None:
    """To be called in the transaction that opens the session; `assertion` is its ID, `role` an ARN. Raises
    InvalidIdentityToken for one that was redeemed already."""
    named = "\0".join((provider.document["Entity"], assertion, role)).encode()
    arn, account = f"clary:saml-assertion/{hashlib.sha256(named).hexdigest()}", provider.account
    connection.execute(
        table.delete().where(
            table.c.account == account,
            table.c.region == shapes.REGION,
            table.c.kind == _KIND,
            table.c.created < now - _KEPT_SECONDS,
        )
    )
    try:
        records.insert(connection, Record(_KIND, account, shapes.REGION, arn, None, "", now, now, {}))
    except NameTaken:
        raise invalid("The SAML response was redeemed already.") from None
