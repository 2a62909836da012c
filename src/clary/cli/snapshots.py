"""Who answers about snapshots of a home: its server, or its databases while none runs."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterator
from typing import Any

from clary.backup.asking import Ask
from clary.cli.failure import Failure
from clary.cli.server import find
from clary.config import Settings
from clary.objects.base import Unavailable
from clary.objects.remote.place import PlaceError
from clary.secrets.recognition import WrongRootKey
from clary.server import home, questions
from clary.store.errors import StoreFailed, StoreTooNew


@contextlib.contextmanager
def asking(settings: Settings) -> Iterator[Ask]:
    """Raises Failure for what the answers, the home or the disk refuse."""
    try:
        server = find(settings)
        if server is not None:
            yield functools.partial(questions.ask, server.control)
        else:
            with _closed(settings) as ask:
                yield ask
    except questions.NotRunning as error:
        raise Failure(f"The server does not answer now ({error}). See {settings.logs}, and try again.") from error
    except (questions.Refused, home.HomeError, StoreTooNew, WrongRootKey, PlaceError) as error:
        raise Failure(str(error)) from error
    except StoreFailed as error:
        raise Failure(f"The database that CLARY_DATABASE_URL names cannot be read: {error}.") from error
    except Unavailable as error:
        raise Failure(f"The store of the objects does not answer ({error}). Try again.") from error
    except sqlite3.DatabaseError as error:
        raise Failure(f"The databases cannot be read ({error}). Restore a backup into another home.") from error
    except OSError as error:
        raise Failure(f"{error.filename or settings.home}: {error.strerror or error}.") from error


@contextlib.contextmanager
def _closed(settings: Settings) -> Iterator[Ask]:
    """Of a home whose server does not run, and cannot start meanwhile."""
    from clary import app  # it takes as long as a server's start

    if not settings.database_url and not (settings.data / "records.db").exists():
        raise Failure(f"There is no home in {settings.home}. Give its place with --home.")
    home.prepare(settings)
    with home.locked(settings), app.snapshots(settings) as answer:

        def ask(question: dict[str, Any]) -> dict[str, Any]:
            found = answer(question)
            if "error" in found:
                raise questions.Refused(found["error"])
            return found

        yield ask
