"""What a job reaches from where it runs: its role's session, and the server; nothing else, where it is shut in.

In a sandbox both are addresses of its own loopback. The server's has the server's own port, so that a URL which is
made inside says the same outside. Clients are pointed there in two ways: by AWS_ENDPOINT_URL; and by a proxy, for
addresses of AWS's that SDKs have written down (it takes nobody anywhere else). Plain processes reach the server itself.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket
from urllib.parse import urlsplit

from clary.agent.credentials import CredentialEndpoint
from clary.contract.folder import jobs_socket, socket_folder
from clary.contract.instance import Credentials, InstanceSpec
from clary.sandbox import INSIDE_AUTHORITIES
from clary.sandbox.relay import relay

_CREDENTIALS = ("169.254.170.2", 80)
_LOOPBACK = "127.0.0.1"
_MOST = 128  # connections to the server at once
_SOURCE = "clary-job"
_NEAR = ("localhost", "127.0.0.0/8", _LOOPBACK, "::1", _CREDENTIALS[0])
# With AWS_ENDPOINT_URL, clients of S3 Control would look for the account as a host name before an IP address.
_BY_PROXY = {"AWS_ENDPOINT_URL_S3_CONTROL": "https://s3-control.{region}.amazonaws.com"}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Reach:
    """Of one instance. session() as for CredentialEndpoint. `inside`: whether it is shut in."""

    def __init__(self, spec: InstanceSpec, session: Callable[[], Credentials | None], *, inside: bool) -> None:
        self._spec = spec
        self._inside = inside
        self._endpoint = CredentialEndpoint(spec.role_arn, spec.token, session, inside=inside)

    @property
    def listening(self) -> tuple[tuple[str, int], ...]:
        """Where sockets have to listen inside; they are handed to `serve` in this order."""
        if not self._inside:
            return ()
        return (_CREDENTIALS, *([(_LOOPBACK, self._port)] if self._spec.server else []))

    @property
    def authorities(self) -> str:
        """The server's certificate authority, PEM, to be found inside."""
        path = self._spec.authority
        return Path(path).read_text() if path and self._inside else ""

    def serve(self, handed: Sequence[socket]) -> None:
        """Answers until those sockets are shut down, or this is closed."""
        self._endpoint.serve(handed[0] if handed else None)
        for each in handed[1:]:
            # A descriptor of its own: the owner may close his while this one is waited for.
            given = (each.dup(), str(jobs_socket(self._spec.link)), _MOST, self._source)
            threading.Thread(target=relay, args=given, name="relay", daemon=True).start()

    @property
    def _source(self) -> str:
        """Whom an edge sees its connections come from: the job, the same for all its hosts."""
        spec = self._spec
        first = spec.peers.get(spec.hosts[0], spec.id)
        return f"{_SOURCE}/{socket_folder(spec.link, first).name}"

    def close(self) -> None:
        self._endpoint.close()

    @property
    def credentials(self) -> dict[str, str]:
        """The variables that say where the session is."""
        return self._endpoint.environment

    @property
    def pointing(self) -> dict[str, str]:
        """The variables that point AWS's clients at the server; what the user gives of them counts more."""
        spec = self._spec
        if not spec.server:
            return {}
        url = f"http://{_LOOPBACK}:{self._port}" if self._inside else spec.server
        found = {
            "AWS_ENDPOINT_URL": url,
            "S3_ENDPOINT_URL": url,  # what AWS's toolkits give to their own client of S3
        }
        # Elsewhere than on its loopback a server is no proxy, not even to its own machine.
        return found | self._proxied(url) if _is_loopback(urlsplit(url).hostname or "") else found

    def _proxied(self, url: str) -> dict[str, str]:
        near = ",".join(dict.fromkeys((*_NEAR, *self._spec.hosts)))
        return {
            **{name: value.format(region=self._spec.region) for name, value in _BY_PROXY.items()},
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), url),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), near),
            **self._trust(),
        }

    def _trust(self) -> dict[str, str]:
        if not self._spec.authority:
            return {}
        if not self._inside:  # where others are reached too, whom other libraries trust by themselves
            return {"AWS_CA_BUNDLE": self._spec.authority}
        return dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), INSIDE_AUTHORITIES)

    @property
    def _port(self) -> int:
        return urlsplit(self._spec.server).port or 80
