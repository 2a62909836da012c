"""botocore's published protocol vectors, read backwards by the acceptance harness."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HARNESS = os.environ.get("CLARY_PROTOCOL_VECTORS", "")
PROTOCOLS = "json,json_1_0,query,rest-json,rest-xml,smithy-rpc-v2-cbor"
# What cannot be read off the wire: tokens and empty collections that clients leave out, bodies the vectors leave out,
# a path prefix of the endpoint, parameters that a named member overrides.
UNREADABLE = {
    "AwsJson": "SDKAppliedContentEncoding SDKAppendsGzip SDKAppendedGzip",
    "token": "IdempotencyTokenAutoFill",
    "empty": "QueryEmptyQueryMaps PrefixHeadersAreNotPresent OmitsEmptyListQueryValues",
    "prefix": "HostWithPath",
    "overridden": "QueryPrecedence QueryParamsStringListMap",
}


@pytest.mark.skipif(not os.environ.get("MIRRORS"), reason="MIRRORS names no folder of public mirrors")
@pytest.mark.skipif(not Path(HARNESS).is_file(), reason="CLARY_PROTOCOL_VECTORS names no harness")
def test_every_vector_that_can_hold() -> None:
    ours = _failures("vectors")
    ceiling = _failures("self-check")
    unreadable = re.compile("|".join(" ".join(UNREADABLE.values()).split()))
    unexplained = [each for each in ours - ceiling if not (" input " in each and unreadable.search(each))]
    # A payload member is absent or empty alike in botocore's output parser.
    assert [each for each in unexplained if "HttpPrefixHeadersResponse" not in each] == []


def _failures(module: str) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PROTOCOLS": PROTOCOLS, "SUITE_SHOW": "1000"}
    command = [sys.executable, HARNESS, module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert re.search(r"^\d+/\d+$", done.stdout.strip().splitlines()[-1])
    return set(re.findall(r"^failed: (.*?):", done.stdout, re.MULTILINE))
