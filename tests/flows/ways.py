"""The ways in which a client of S3 is pointed at the server."""

from __future__ import annotations

from whole_server import WholeServer

HOSTS = "virtual hosts"  # AWS's own addresses, through the server as a proxy; the bucket stands in the host name
WAYS = ["http", "https", HOSTS]


def pointed(server: WholeServer, way: str) -> tuple[list[str], list[str]]:
    """(options of `clary run`, what stands before the command)."""
    if way == "http":
        return ["--endpoint-url"], []
    # The proxy is for AWS's addresses; to this one clients go past it, and know its certificate.
    return [], ["env", f"AWS_ENDPOINT_URL={server.url.replace('http:', 'https:')}"] if way == "https" else []
