"""The page of settings, from the fields of `Settings`."""

from __future__ import annotations

import dataclasses

from clary.config import Settings
from clary.reference.markdown import code, table

_SHOWN = {
    "home": "`$XDG_DATA_HOME/clary`, `~/.local/share/clary`",
    "images_home": "`$XDG_CACHE_HOME/clary/images`, `~/.cache/clary/images`",
}
_INTRODUCTION = """# Settings

Every setting is an environment variable that `clary up` reads; `--home`, `--host` and `--port` win over theirs. The
other commands need CLARY_HOME (or `--home`) alone: what they ask is answered by the server of that home.
`clary backup` and `clary doctor` read objects themselves: they need CLARY_OBJECTS_… as the server has it.

"""


def page() -> str:
    rows = [
        (code(f"CLARY_{each.name.upper()}"), _default(each), str(each.type), each.metadata["about"])
        for each in dataclasses.fields(Settings)
    ]
    return _INTRODUCTION + table(("variable", "default", "type", "what it does"), rows)


def _default(field: dataclasses.Field[object]) -> str:
    if field.name in _SHOWN:
        return _SHOWN[field.name]
    return code(field.default) if field.default != "" else "empty"
