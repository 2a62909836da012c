"""~/.aws/models/endpoints.json: botocore's own, with the STS hosts replaced by Clary's.

The SageMaker SDKs build `https://sts.<region>.amazonaws.com` from that file, past AWS_ENDPOINT_URL and the profile.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from clary.cli.failure import Failure

_MARK = "writtenBy"
_OURS = "clary configure; `clary configure --undo` removes this file"


def check(path: Path) -> None:
    """Raises Failure when the user has such a file which is not ours."""
    if path.exists() and not _ours(path):
        raise Failure(f"{path} exists and is not Clary's. Move it away first, or leave out --endpoints.")


def write(path: Path, port: int) -> None:
    document: dict[str, Any] = json.loads(files("botocore").joinpath("data", "endpoints.json").read_text())
    for partition in document["partitions"]:
        sts = partition["services"].setdefault("sts", {"endpoints": {}})
        sts.pop("defaults", None)
        for region in {*partition["regions"], *sts["endpoints"]}:
            known = sts["endpoints"].get(region, {})
            scope = {"credentialScope": known["credentialScope"]} if "credentialScope" in known else {}
            sts["endpoints"][region] = {"hostname": f"localhost:{port}", "protocols": ["https"], **scope}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps({_MARK: _OURS, **document}))


def remove(path: Path) -> bool:
    """Whether there was one of ours."""
    if not path.exists() or not _ours(path):
        return False
    path.unlink()
    return True


def _ours(path: Path) -> bool:
    try:
        document = json.loads(path.read_text())
    except ValueError:
        return False
    return isinstance(document, dict) and document.get(_MARK) == _OURS
