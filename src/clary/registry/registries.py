"""What a registry, which is an account's in a region, is set to: functions of a connection to the object index's
database. Every account has one in every region; a row says what is other than at first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.store.prepared import Prepared
from clary.store.registry_schema import registries

_FIND = Prepared(
    sa.select(registries).where(
        registries.c.account == sa.bindparam("of_account"), registries.c.region == sa.bindparam("of_region")
    )
)


@dataclass(frozen=True, slots=True)
class Registry:
    """A row of the table, see there."""

    account: str
    region: str
    settings: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    replication: list[dict[str, Any]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        """Of all of its repositories."""
        return str(Arn("ecr", self.region, self.account, "repository/*"))


def find(connection: Connection, account: str, region: str) -> Registry:
    row = _FIND.first(connection, {"of_account": account, "of_region": region})
    return Registry(account, region) if row is None else Registry(*row)


def change(connection: Connection, registry: Registry) -> None:
    """It is what `registry` says from now on."""
    this = (registries.c.account == registry.account, registries.c.region == registry.region)
    values = {"settings": registry.settings, "policy": registry.policy, "replication": registry.replication}
    if not connection.execute(registries.update().where(*this).values(**values)).rowcount:
        where = {"account": registry.account, "region": registry.region}
        connection.execute(registries.insert().values(**where, **values))
