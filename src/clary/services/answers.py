"""What the control plane answers to questions: of the edges (keys, routes) and of the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.images.base import Images
from clary.sandbox.engine import EngineError
from clary.services.ecr import rounds
from clary.services.iam import account_file, root_key
from clary.services.iam.accounts import Account, Accounts
from clary.services.iam.first_start import default_role_arn
from clary.services.iam.keys import RecordKeyring
from clary.services.logs import jobs
from clary.services.sagemaker import pins
from clary.services.sts.sessions import open_session
from clary.serving.routes import route
from clary.store import records
from clary.store.engine import Database
from clary.store.schema import records as table

Question = dict[str, Any]
Answer = dict[str, Any]

_AT_REST = ("Completed", "Failed", "Stopped", "Deleting")
_PUSH_SECONDS = 3600.0  # a layer that no image needs yet may be of a push that has begun
_COUNTED = {
    "training jobs running": ("training-job", ("InProgress", "Stopping")),
    "endpoints in service": ("endpoint", ("InService", "Updating")),
}


def answers(platform: Platform, keyring: RecordKeyring, version: str) -> Mapping[str, Callable[[Question], Answer]]:
    """By the question's "ask"; a function for each."""
    started = platform.clock.now()
    return {
        "credential": lambda question: _credential(keyring, str(question["access_key"])),
        "route": lambda question: route(platform, question["account"], question["region"], question["endpoint"]),
        "session": lambda question: _session(platform, float(question.get("seconds", 43_200))),
        "root-key": lambda _: _root_key(platform),
        "status": lambda _: _status(platform, version, started),
        **account_answers(Accounts(platform.stores.records, platform.settings, platform.clock, platform.secrets)),
        "registry-gc": lambda _: _registry_gc(platform),
        **image_answers(platform.images, platform.stores.records),
        "job-logs": lambda question: _job_logs(platform, question["job"], question.get("token", "")),
    }


def account_answers(accounts: Accounts) -> Mapping[str, Callable[[Question], Answer]]:
    """What `clary accounts` asks of a server, or of a home whose server does not run."""
    return {
        "accounts": lambda _: {"accounts": [_account(each) for each in accounts.every()]},
        "accounts-apply": lambda question: _applied(accounts, question["file"]),
    }


def image_answers(images: Images, database: Database) -> Mapping[str, Callable[[Question], Answer]]:
    """What `clary images` asks of a server, or of a home whose server does not run."""
    return {"images-gc": lambda _: _images_gc(images, database)}


def _images_gc(images: Images, database: Database) -> Answer:
    try:
        return asdict(images.collect(lambda: database.read(pins.needed)))
    except EngineError as error:
        return {"error": f"The container engine did not do what it was asked: {error}"}


def _account(account: Account) -> Answer:
    key = account.key
    shown = {"account": account.account, "name": account.name, "users": account.users}
    return {**shown, "access_key": key.access_key, "secret_key": key.secret_key}


def _applied(accounts: Accounts, file: dict[str, Any]) -> Answer:
    try:
        wanted = account_file.read(file)
        drawn = accounts.apply(wanted)
    except account_file.InvalidAccounts as error:
        return {"error": f"Nothing was changed: {error}."}
    keys = [
        {"account": account, "user": user, "access_key": key.access_key, "secret_key": key.secret_key}
        for account, user, key in drawn
    ]
    return {"applied": len(wanted), "drawn": keys}


def _credential(keyring: RecordKeyring, access_key: str) -> Answer:
    found = keyring.look(access_key)  # the edges remember what they are told: it must not be old already
    if found is None:
        return {"found": False}
    return {
        "found": True,
        "secret_key": found.secret_key,
        "session_token": found.session_token,
        "expires": found.expires,
        "principal": asdict(found.principal),
    }


def _session(platform: Platform, seconds: float) -> Answer:
    role = default_role_arn(platform.settings)
    try:
        database, secrets = platform.stores.records, platform.secrets
        return asdict(open_session(database, secrets, role, "SageMaker", seconds, platform.clock))
    except ServiceError as error:
        return {"error": f"The execution role {role} is gone ({error.message}); restart Clary to have it again."}


def _registry_gc(platform: Platform) -> Answer:
    """Whoever asks for it is not pushing: an hour is time enough for the pushes of others."""
    freed = rounds.collect(platform, _PUSH_SECONDS)
    return {"blobs": freed.blobs, "bytes": freed.size}


def _root_key(platform: Platform) -> Answer:
    key = root_key.load(platform.settings)
    return {"access_key": key.access_key, "secret_key": key.secret_key}


def _status(platform: Platform, version: str, started: float) -> Answer:
    def count(connection: Connection) -> dict[str, int]:
        return {words: _count(connection, kind, statuses) for words, (kind, statuses) in _COUNTED.items()}

    return {
        "version": version,
        "pid": os.getpid(),
        "started": started,
        "account": platform.settings.account,
        "region": platform.settings.region,
        "counts": platform.stores.records.read(count),
    }


def _count(connection: Connection, kind: str, statuses: tuple[str, ...]) -> int:
    query = sa.select(sa.func.count()).where(table.c.kind == kind, table.c.status.in_(statuses))
    return int(connection.execute(query).scalar_one())


def _job_logs(platform: Platform, name: str, token: str) -> Answer:
    account, region = platform.settings.account, platform.settings.region
    kinds = ("training-job", "endpoint")

    def find(connection: Connection) -> records.Record | None:
        found = (records.find(connection, kind, account, region, name) for kind in kinds)
        return next((each for each in found if each is not None), None)

    owner = platform.stores.records.read(find)  # before the lines: those of an ended job are complete
    lines, after = jobs.page(platform.stores.logs, account, region, name, token)
    if owner is None and not lines and not token:
        return {"error": f"There is no training job and no endpoint named {name!r} in {region}, and no log of one."}
    ended = owner is None or owner.status in _AT_REST
    return {"lines": lines, "token": after, "finished": ended and not lines}
