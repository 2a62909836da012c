"""Byte code of the packages in an environment, compiled once for each content of a source and kept beside all of them:
most frameworks bring the same NumPy.

    python -I -S bytecode.py FOLDER STORE

Standard library only, and run by the interpreter under the environment, from 3.10 on: no code of a package is run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import marshal
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

# The tests that packages bring are almost half of their code; no job runs them.
_LEFT_OUT = ("test", "tests", "__pycache__")
_AT_ONCE = 64  # sources for one process
_DIGEST = 32  # bytes of it before what is kept: nothing here waits for the disk


def store_of(place: Path) -> Path:
    """Where the byte code for the environment at `place` is kept."""
    return place.parent.with_name("bytecode")


def sweep(store: Path, unused: float) -> int:
    """Removes what was not used for `unused` seconds; returns its bytes."""
    before, freed = time.time() - unused, 0
    for each in store.glob("*/*/*"):
        with contextlib.suppress(FileNotFoundError):  # somebody removes it meanwhile
            found = each.stat()
            if found.st_mtime < before:
                each.unlink()
                freed += found.st_blocks * 512
    return freed


def main(folder: str, store: str) -> None:
    """Gives every source in the folder its byte code, on all cores."""
    from concurrent.futures import ProcessPoolExecutor  # which the server, that only knows the paths, does without

    kept = Path(store, MAGIC_NUMBER.hex())
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(functools.partial(_give, kept), _sources(folder), chunksize=_AT_ONCE):
            pass


def _sources(top: str) -> Iterator[Path]:
    """None that a link of a package's would have looked for, or written, elsewhere."""
    for folder, folders, names in os.walk(top):
        folders[:] = [each for each in folders if each not in _LEFT_OUT]
        if not Path(folder, "__pycache__").is_symlink():
            found = (Path(folder, each) for each in names if each.endswith(".py"))
            yield from (each for each in found if not each.is_symlink())


def _give(kept: Path, source: Path) -> None:
    """In the form of PEP 552 that is good for as long as the source keeps its time and size."""
    data, found = source.read_bytes(), source.stat()
    code = _code(kept, data)
    if code is not None:
        times = b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in (0, int(found.st_mtime), len(data)))
        _write(Path(cache_from_source(str(source))), MAGIC_NUMBER + times + code)


def _code(kept: Path, data: bytes) -> bytes | None:
    """None for what is no program here: a wheel may hold sources for other Pythons (PyTorch's does)."""
    name = hashlib.sha256(data).hexdigest()
    place = kept / name[:2] / name
    with contextlib.suppress(FileNotFoundError):
        digest, code = (whole := place.read_bytes())[:_DIGEST], whole[_DIGEST:]
        if hashlib.sha256(code).digest() == digest:
            os.utime(place)
            return code
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Whoever loads it is told where the source is, whatever is said here.
            code = marshal.dumps(compile(data, "<kept>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError):
        return None
    _write(place, hashlib.sha256(code).digest() + code)
    return code


def _write(place: Path, data: bytes) -> None:
    """Under a new name, then its own: the file that was there may have names in other environments."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        file.write(data)
    made = Path(file.name)
    made.chmod(0o644)  # jobs run as another user than this one
    made.replace(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
