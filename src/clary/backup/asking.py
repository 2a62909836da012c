"""The asking end of a snapshot: of a running server over its control socket, or of a home that is held."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.backup.snapshots import COMPONENTS
from clary.server.questions import NotRunning, Refused

Ask = Callable[[dict[str, Any]], dict[str, Any]]  # raises Refused, NotRunning
Tell = Callable[[int, int], None]  # (done, of how many)

_POLL = 0.05  # seconds between two looks at how far the copies are
_KEEP = 10.0  # seconds between two signs of life


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Copies of databases, `<folder>/<name>.db`; the blobs that they name stay in the home until `end`. `facts`:
    account, region, root_key (its fingerprint)."""

    folder: Path
    facts: dict[str, str]
    _ask: Ask
    _token: str

    def state(self) -> dict[str, Any]:
        return self._ask({"ask": "snapshot-state", "token": self._token})

    def copied(self) -> None:
        """The copies are made, where who asks makes them. Raises as `end`."""
        self._ask({"ask": "snapshot-copied", "token": self._token})

    def end(self) -> None:
        """Raises Refused when it was over before: then blobs may have gone."""
        self._ask({"ask": "snapshot-end", "token": self._token})


@contextlib.contextmanager
def snapshot(ask: Ask, databases: Sequence[str], database_url: str, tell: Tell) -> Iterator[Snapshot]:
    """Of these databases; `database_url` as the settings have it. Leaving the block checks that it held all the time:
    where it did not, that is the error. Raises Refused, NotRunning, StoreFailed."""
    begun = ask({"ask": "snapshot", "databases": list(databases)})
    taken = Snapshot(Path(begun["folder"]), begun["facts"], ask, begun["token"])
    over = threading.Event()
    try:
        while not (state := taken.state())["ready"]:
            tell(state["done"], state["total"])
            over.wait(_POLL)
        threading.Thread(target=_keep, args=(taken, over), name="keep", daemon=True).start()
        if state["moment"]:
            _take_out(taken, state["moment"], databases, database_url, tell)
        yield taken
    finally:
        over.set()
        taken.end()


def _take_out(taken: Snapshot, moment: str, databases: Sequence[str], database_url: str, tell: Tell) -> None:
    """The copies of databases that are in PostgreSQL."""
    from clary.store import crossings  # its driver is an extra

    if not database_url:
        raise Refused("The databases of this home are in PostgreSQL. Set CLARY_DATABASE_URL as its server has it.")
    wanted = {name: COMPONENTS[name] for name in databases}
    crossings.take_out(database_url, moment, wanted, taken.folder, tell)
    taken.copied()


def _keep(taken: Snapshot, over: threading.Event) -> None:
    """Says every few seconds that somebody is still there; what went wrong shows at the end."""
    while not over.wait(_KEEP):
        with contextlib.suppress(Refused, NotRunning):
            taken.state()
