"""Instances on this machine: agents forked by the launcher."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from clary.clock import Clock
from clary.compute import rows
from clary.compute.base import Leaving, Observation
from clary.compute.link import AgentLink
from clary.config import Settings
from clary.contract.folder import InstanceFolder, container_name, is_held, socket_folder, write_whole
from clary.contract.instance import ExitRecord, InstanceSpec
from clary.contract.launch import Launch, LauncherAway, ask
from clary.store.engine import Database

_LEAVING = 2.0  # seconds for the processes of a killed agent's sandbox to end
_LAUNCHER_PATIENCE = 3.0  # seconds: a launcher that died is back by then


class LocalCompute:
    """Implements clary.compute.base.Compute. inside() gives the tree of what runs inside sandboxes. `launch` raises
    clary.contract.launch.LauncherAway when the launcher stays away; calling it again is safe."""

    def __init__(
        self, settings: Settings, records: Database, link: AgentLink, inside: Callable[[], Path], clock: Clock
    ) -> None:
        self._settings = settings
        self._records = records
        self._link = link
        self._inside = inside
        self._tree: Path | None = None
        self._clock = clock

    def launch(self, spec: InstanceSpec) -> None:
        self._records.write(lambda connection: rows.add(connection, spec, self._clock.now()))
        folder = self._folder(spec.id)
        self._settings.instances.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.path.mkdir(mode=0o700, exist_ok=True)
        if not folder.spec.exists():
            write_whole(folder.spec, spec.to_json(), mode=0o600)
        self._ask(Launch(str(folder.path), str(self._inside_tree())))

    def _inside_tree(self) -> Path:
        """As it was at the first launch; another one only when somebody has removed it."""
        if self._tree is None or not self._tree.is_dir():
            self._tree = self._inside()
        return self._tree

    def _ask(self, question: Launch) -> None:
        until = time.monotonic() + _LAUNCHER_PATIENCE
        while True:
            try:
                ask(self._settings.run, question)
                return
            except LauncherAway:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def observe(self, instance: str) -> Observation:
        row = self._row(instance)
        if row is None:
            return Observation("lost")
        if row.exit is None and not is_held(self._folder(instance).lock):
            row = self._after_agent(instance)
            if row is None or row.exit is None:
                return Observation("lost", row.phases if row else ())
        if row.exit is not None:
            return Observation("exited", row.phases, row.exit)
        runs = any(each.name in ("Training", "Serving", "Uploading") for each in row.phases)
        return Observation("running" if runs else "starting", row.phases, None, row.address, row.healthy)

    def _after_agent(self, instance: str) -> rows.Row | None:
        """The agent is gone: what it reported in the meantime, or left in its folder."""
        row = self._row(instance)
        if row is None or row.exit is not None:
            return row
        folder = self._folder(instance)
        self._link.intake.take_spool(row.spec, folder.spool)
        with contextlib.suppress(FileNotFoundError):
            record = ExitRecord.from_json(folder.exit.read_text())
            self._records.write(lambda connection: rows.report(connection, instance, record))
        return self._row(instance)

    def stop(self, instance: str) -> None:
        self._records.write(lambda connection: rows.ask_stop(connection, instance))
        self._link.stop(instance)

    def discard(self, instance: str) -> None:
        """Raises RuntimeError for an instance that is alive: no caller may do that. Raises Leaving while its agent is
        there, which has its container deleted."""
        if self.observe(instance).state in ("starting", "running"):
            raise RuntimeError(f"{instance} is alive")
        row = self._row(instance)
        if row is not None:
            shutil.rmtree(socket_folder(row.spec.link, instance), ignore_errors=True)
        folder = self._folder(instance)
        if row is not None and row.spec.image.kind == "container":
            _remove_container(row.spec.id, folder)
        _remove_groups(folder.groups)
        remove_tree(folder.path)
        self._records.write(lambda connection: rows.remove(connection, instance))

    def _row(self, instance: str) -> rows.Row | None:
        return self._records.read(lambda connection: rows.find(connection, instance))

    def _folder(self, instance: str) -> InstanceFolder:
        return InstanceFolder(self._settings.instances / instance)


def _remove_container(instance: str, folder: InstanceFolder) -> None:
    """Its guard has done this, unless it was killed with the agent. Raises Leaving, EngineError."""
    if folder.container.exists():
        if is_held(folder.lock):
            raise Leaving
        from clary.sandbox import engine  # few homes ever have a container, and a server at rest is 2 MB smaller

        engine.find().remove(container_name(instance))
        folder.container.unlink()


def _remove_groups(listing: Path) -> None:
    """The agent does this itself, unless it was killed. Raises OSError while there are processes in one."""
    groups = listing.read_text().splitlines() if listing.exists() else []
    until = time.monotonic() + _LEAVING
    for each in groups:
        while True:
            try:
                Path(each).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)


def remove_tree(folder: Path) -> None:
    """Deletes a folder in which a job may have taken its own permissions away, or gone deeper than any path reaches:
    what lies below a subfolder is moved up instead of descended into. Links are not followed."""
    if not folder.exists():
        return
    folder.chmod(0o700)
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _dissolve(Path(entry.path), folder)
            else:
                Path(entry.path).unlink()
    folder.rmdir()


def _dissolve(folder: Path, top: Path) -> None:
    """Removes a subfolder of `top`; its own subfolders become subfolders of `top`."""
    folder.chmod(0o700)
    for entry in list(os.scandir(folder)):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            path.chmod(0o700)  # a folder changes its parent only while it can be written
            path.rename(top / f".removed-{secrets.token_hex(8)}")
        else:
            path.unlink()
    folder.rmdir()
