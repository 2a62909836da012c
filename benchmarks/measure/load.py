"""Load on an HTTP server with wrk, from requests made beforehand (signed, all different) and sent in turn."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Reads the requests once per thread; wrk asks for the next one before each send.
_SCRIPT = """
local requests, count, at = {}, 0, 0
function init(args)
  for _, path in ipairs(args) do
    local file = assert(io.open(path, "rb"))
    local size = file:read("*l")
    while size do
      count = count + 1
      requests[count] = file:read(tonumber(size))
      size = file:read("*l")
    end
    file:close()
  end
end
function request()
  at = at % count + 1
  return requests[at]
end
function done(summary, latency, requests)
  io.write(string.format("P50 %d P99 %d\\n", latency:percentile(50), latency:percentile(99)))
  io.write(string.format("COUNT %d US %d\\n", summary.requests, summary.duration))
  local e = summary.errors
  io.write(string.format("BAD %d\\n", e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Load:
    """Whole requests (request line, headers, body) for one server on a loopback port."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        if shutil.which("wrk") is None:
            raise SystemExit("this benchmark needs wrk (Debian and Ubuntu: apt-get install wrk)")
        self._url = f"http://127.0.0.1:{port}/"
        self._folder = tempfile.TemporaryDirectory(prefix="clary-load-")
        self._script = Path(self._folder.name, "load.lua")
        self._requests = Path(self._folder.name, "requests")
        self._script.write_text(_SCRIPT)
        self._requests.write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in requests))

    def run(self, connections: int, seconds: float) -> dict[str, float]:
        """p50 us, p99 us, req/s. Raises RuntimeError when an answer was not a success."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(self._script), self._url]
        done = subprocess.run([*command, "--", str(self._requests)], check=True, capture_output=True, text=True)
        numbers = {name: int(value) for name, value in re.findall(r"([A-Z0-9]+) (\d+)", done.stdout)}
        if numbers["BAD"]:
            raise RuntimeError(f"{numbers['BAD']} of {numbers['COUNT']} answers were errors\n{done.stdout}")
        rate = numbers["COUNT"] / numbers["US"] * 1e6
        return {"p50 us": numbers["P50"], "p99 us": numbers["P99"], "req/s": rate}
