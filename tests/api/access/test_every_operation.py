"""Not one operation forgets to ask: somebody without any policy gets nowhere, whatever he asks for."""

from __future__ import annotations

import pytest
from botocore.credentials import Credentials

from api.access.people import Person
from api.test_sweeps import Raw, built, furnished, operations, sweep
from clary.services import tables
from whole_server import WholeServer

__all__ = ["furnished"]

# Nobody needs to be allowed these.
FREE = {"GetCallerIdentity", "GetSessionToken"}


@pytest.mark.parametrize("service", [*tables.OPERATIONS, "sagemaker-runtime"])
def test_whoever_may_nothing_does_nothing(furnished: WholeServer, service: str) -> None:
    raw = Raw(furnished, signed=True)
    raw.keys = Credentials(*Person(furnished).keys)
    wanted = (each for each in operations(service) if built(each) and each.name not in FREE)
    assert not sweep(raw, wanted, 4, lambda status, _: 400 <= status < 500 or status == 501)
