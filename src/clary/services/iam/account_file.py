"""The file that provides a server with accounts: its list of them, with their first keys and users."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_KEY = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_MEMBERS = frozenset({"id", "name", "access_key_id", "secret_access_key", "users"})
_USER_MEMBERS = frozenset({"name", "policies", "access_key_id", "secret_access_key"})


class InvalidAccounts(Exception):
    """The file asks for what cannot be; the message says where."""


@dataclass(frozen=True, slots=True)
class Key:
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantedUser:
    name: str
    policies: Sequence[str] = ()
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class WantedAccount:
    account: str
    name: str = ""
    key: Key | None = None
    users: Sequence[WantedUser] = ()


def read(given: Mapping[str, Any]) -> list[WantedAccount]:
    """From {"accounts": [...]}, as a file has it. Raises InvalidAccounts."""
    entries = given.get("accounts")
    if given.keys() != {"accounts"} or not isinstance(entries, list):
        raise InvalidAccounts("the file has to be a list named accounts")
    found = [_account(each) for each in entries]
    if len({each.account for each in found}) < len(found):
        raise InvalidAccounts("an account is named twice")
    return found


def _account(given: Any) -> WantedAccount:
    number = given.get("id", "") if isinstance(given, dict) else ""
    if not isinstance(number, str) or not _ACCOUNT.fullmatch(number):
        raise InvalidAccounts(f"an account's id is twelve digits in quotes, not {number!r}")
    where = f"account {number}"
    _check_members(given, _MEMBERS, where)
    users = given.get("users", [])
    if not isinstance(users, list):
        raise InvalidAccounts(f"{where}: users is a list")
    return WantedAccount(
        number, _text(given, "name", where), _key(given, where), [_user(each, where) for each in users]
    )


def _user(given: Any, where: str) -> WantedUser:
    name = given.get("name", "") if isinstance(given, dict) else ""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidAccounts(f"{where}: {name!r} is no user's name")
    where = f"{where}, user {name}"
    _check_members(given, _USER_MEMBERS, where)
    attached = given.get("policies", [])
    if not isinstance(attached, list) or not all(isinstance(each, str) for each in attached):
        raise InvalidAccounts(f"{where}: policies is a list of ARNs")
    return WantedUser(name, attached, _key(given, where))


def _check_members(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(given.keys() - known):
        raise InvalidAccounts(f"{where}: {unknown[0]!r} is not known; known are {', '.join(sorted(known))}")


def _text(given: Mapping[str, Any], member: str, where: str) -> str:
    value = given.get(member, "")
    if not isinstance(value, str):
        raise InvalidAccounts(f"{where}: {member} is a text")
    return value


def _key(given: Mapping[str, Any], where: str) -> Key | None:
    key, secret = (_text(given, member, where) for member in ("access_key_id", "secret_access_key"))
    if not key and not secret:
        return None
    if not _KEY.fullmatch(key) or key.startswith("ASIA") or len(secret) < 16:
        raise InvalidAccounts(
            f"{where}: access_key_id (16 or more capital letters and digits, not of a session) and secret_access_key "
            "(16 or more characters) come together"
        )
    return Key(key, secret)
