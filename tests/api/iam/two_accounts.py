"""A second account beside the server's first."""

from __future__ import annotations

from typing import Any

from clary.services.iam import account_file
from clary.services.iam.accounts import Accounts

SECOND = "222222222222"


def accounts(server: Any) -> Accounts:
    platform = server.platform
    return Accounts(platform.stores.records, platform.settings, platform.clock, platform.secrets)


def second_root(server: Any) -> tuple[str, str]:
    """The root key of a second account, which is made now."""
    made = accounts(server)
    made.apply(account_file.read({"accounts": [{"id": SECOND}]}))
    key = next(each.key for each in made.every() if each.account == SECOND)
    return key.access_key, key.secret_key
