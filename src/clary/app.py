"""The composition root of the control plane: settings -> Platform -> request pipeline, in reading order."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from clary import __version__
from clary.auth.gate import Gate
from clary.backup.snapshots import Snapshots
from clary.clock import Clock, SystemClock
from clary.compute.link import AgentLink
from clary.compute.local import LocalCompute
from clary.config import Settings
from clary.context import Platform, Stores
from clary.contract.instance import Credentials, InstanceSpec
from clary.contract.link import Holder
from clary.images import inside
from clary.images.local import LocalImages
from clary.objects.choice import object_store
from clary.registry.pulling import ImageSource
from clary.scheduler.loop import Loop
from clary.scheduler.signal import Signal
from clary.secrets import RootKey
from clary.secrets.recognition import recognise
from clary.server.bodies import Waits
from clary.server.control import ControlServer
from clary.server.pipeline import Pipeline
from clary.server.questions import Answer, answering
from clary.server.registry import Registry
from clary.server.turns import AT_ONCE, Turns
from clary.server.waiting import WaitingRoom
from clary.services import tables
from clary.services.access import invocations, passing
from clary.services.access.authority import Authority
from clary.services.answers import account_answers, answers, image_answers
from clary.services.ecr import replicating
from clary.services.ecr import rounds as registry_rounds
from clary.services.iam import first_start
from clary.services.iam.accounts import Accounts
from clary.services.iam.keys import RecordKeyring
from clary.services.iam.last_use import LastUses
from clary.services.iam.pinning import pin_earlier
from clary.services.iam.sealing import seal_earlier
from clary.services.s3 import event_sender, lifecycle_sweep, scrub, sweep
from clary.services.s3.cors import CrossOrigin
from clary.services.s3.damage import Notices
from clary.services.sagemaker import launches
from clary.services.sns.certificates import Certificates
from clary.services.sns.delivering import Deliverer
from clary.services.sts.sessions import open_session
from clary.services.waiting import Waiting
from clary.store import schema
from clary.store.engine import Database, Pause, SqliteDatabase
from clary.store.watched import WatchedDatabase
from clary.wire.models import Models
from clary.wire.router import Router

_LOG = logging.getLogger(__name__)
_JOB_SESSION_SECONDS = 3600.0
_THREADS = 32  # requests at work at once, of which few run
_SPARE = 160  # more, for those that wait for the bodies of slow clients
_STRANGERS = 8  # of these requests may wait for bodies while nobody knows whose they are
_SWITCH_SECONDS = 0.001  # for which a busy thread may keep the others from running (Python's own: 0.005)

_ROUNDS = {
    "lifecycle": lifecycle_sweep.forever,
    "events": event_sender.forever,
    "scrub": scrub.forever,
    "registry": registry_rounds.forever,
    "replication": replicating.forever,
}


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane, built and not yet started. `start` returns when it serves; `stop` when nothing of it runs."""

    platform: Platform
    server: ControlServer
    link: AgentLink
    loop: Loop
    snapshots: Snapshots
    deliverer: Deliverer
    stopping: threading.Event = dataclasses.field(default_factory=threading.Event)

    def start(self) -> None:
        self.link.start()
        self.server.start()
        self.loop.start()
        self.deliverer.start()
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()
        for name, rounds in _ROUNDS.items():
            threading.Thread(target=rounds, args=(self.platform, self.stopping), name=name, daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self.snapshots.close()
        self.server.stop()
        self.loop.stop()
        self.deliverer.stop()
        self.link.close()
        self.platform.objects.close()
        for field in dataclasses.fields(self.platform.stores):
            getattr(self.platform.stores, field.name).close()

    def _sweep(self) -> None:
        try:
            sweep.after_start(self.platform.objects, self.platform.stores.objects)
        except Exception:
            _LOG.exception("the sweep of leftover objects failed; the next start tries again")


def build(settings: Settings) -> ControlPlane:
    clock = SystemClock()
    room = WaitingRoom()
    turns = Turns(AT_ONCE, _THREADS + _SPARE)
    records, objects_index, logs = (_database(settings, *each, turns.waiting) for each in _DATABASES)
    root_key = _opened(records, settings, clock)
    pin_earlier(records, objects_index)
    keyring = RecordKeyring(records, settings, clock, root_key)
    authority = Authority(records, objects_index, clock)

    def changed(arns: Set[str]) -> None:
        keyring.changed(arns)
        authority.changed(arns)
        room.changed(arns)

    stores = Stores(WatchedDatabase(records, changed), objects_index, logs)
    wake, send = Signal(), Signal()

    def woken() -> None:
        wake()
        send()

    credentials = _role_sessions(stores.records, root_key, clock)
    path, url = launches.agent_link(settings), settings.local_url
    link = AgentLink(Path(path), url, stores.records, stores.logs, credentials, clock, lambda _: wake())
    compute = LocalCompute(settings, stores.records, link, lambda: inside.tree(settings), clock)
    damages = Notices(settings, objects_index, clock)
    objects = object_store(settings, damages.of_blob)
    local = LocalImages(settings, _LOG.info, wake, ImageSource(objects_index, objects, root_key, clock))
    platform = Platform(settings, clock, stores, objects, local, compute, woken, root_key)

    gate = Gate(keyring, clock, settings, LastUses(stores.records, clock).note)
    waiting = Waiting(tables.WAITS, settings.describe_hold_seconds, clock)
    origins = CrossOrigin(platform)
    router, codes = Router(Models()), tables.VALIDATION_CODES
    pipeline = Pipeline(platform, router, gate, tables.OPERATIONS, codes, waiting, origins, authority)
    snapshots = Snapshots(settings, stores, objects, root_key.fingerprint())
    told = {**answers(platform, keyring, __version__), **invocations.answers(authority, keyring, stores.records)}
    questions = answering({**told, **snapshots.answers(), "damaged": damages.answer})
    server = ControlServer(
        settings.run / "control.sock",
        Registry(platform, router, gate, authority, Certificates(platform, router, pipeline)),
        questions,
        _THREADS,
        room=room,
        turns=turns,
        strangers=Waits(_STRANGERS),
    )
    loop, deliverer = Loop(platform, tables.RECONCILERS, wake), Deliverer(platform, send)
    return ControlPlane(platform, server, link, loop, snapshots, deliverer)


@contextlib.contextmanager
def accounts(settings: Settings) -> Iterator[Answer]:
    """Answers the questions about accounts, of a home whose server does not run: the caller holds it meanwhile."""
    clock, records = SystemClock(), _database(settings, *_DATABASES[0])
    try:
        secrets = _opened(records, settings, clock)
        yield answering(account_answers(Accounts(records, settings, clock, secrets)))
    finally:
        records.close()


@contextlib.contextmanager
def images(settings: Settings) -> Iterator[Answer]:
    """Answers the questions about images, of a home whose server does not run: the caller holds it meanwhile."""
    records = _database(settings, *_DATABASES[0])
    try:
        yield answering(image_answers(LocalImages(settings), records))
    finally:
        records.close()


@contextlib.contextmanager
def snapshots(settings: Settings) -> Iterator[Answer]:
    """Answers the questions about snapshots, of a home whose server does not run: the caller holds it meanwhile."""
    with contextlib.ExitStack() as closing:
        opened = []
        for each in _DATABASES:
            opened.append(_database(settings, *each))
            closing.callback(opened[-1].close)
        root_key = _opened(opened[0], settings, SystemClock())
        objects = object_store(settings)
        closing.callback(objects.close)
        taking = Snapshots(settings, Stores(*opened), objects, root_key.fingerprint())
        closing.callback(taking.close)
        yield answering(taking.answers())


def _opened(records: Database, settings: Settings, clock: Clock) -> RootKey:
    """The root key of a home's records, once these are as this release has them."""
    root_key = RootKey.load(settings)
    recognise(records, root_key)
    seal_earlier(records, root_key)
    first_start.provision(records, settings, clock)
    return root_key


_DATABASES = (("records", schema.RECORDS), ("objects", schema.OBJECTS), ("logs", schema.LOGS))


def _database(
    settings: Settings, name: str, metadata: sa.MetaData, waiting: Pause = contextlib.nullcontext
) -> Database:
    if settings.database_url:
        from clary.store.postgres import PostgresDatabase  # its driver is an extra

        return PostgresDatabase(settings.database_url, metadata)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteDatabase(str(settings.data / f"{name}.db"), metadata, waiting)


def _role_sessions(records: Database, secrets: RootKey, clock: Clock) -> Callable[[InstanceSpec, Holder], Credentials]:
    """What agents and jobs work with: a session of the job's role, if that still trusts SageMaker; renewed by asking
    again."""

    def credentials(spec: InstanceSpec, holder: Holder) -> Credentials:
        records.read(lambda connection: passing.check(connection, spec.role_arn, spec.account, spec.job_arn))
        agents = holder == "agent"
        return open_session(records, secrets, spec.role_arn, "SageMaker", _JOB_SESSION_SECONDS, clock, agent=agents)

    return credentials


def main() -> int:
    """The control plane's process, as the supervisor starts it: everything from CLARY_* variables, until SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    sys.setswitchinterval(_SWITCH_SECONDS)
    _raise_descriptor_limit()
    stop = threading.Event()

    def asked(_number: int, _frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    control_plane = build(Settings.load())
    control_plane.start()
    stop.wait()
    control_plane.stop()
    return 0


def _raise_descriptor_limit() -> None:
    """A request that waits costs a descriptor; the low default would bound how many may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
