"""TLS at the port. What makes certificates takes 4 MB of each edge, so it is loaded when a client first wants TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
import traceback
from pathlib import Path


class LateContext:
    """The server's TLS context, made at the first call and then kept. `secrets` is the folder of the certificate
    authority; `names` are further host names of this server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, secrets: Path, names: tuple[str, ...]) -> None:
        self._loop = loop
        self._secrets = secrets
        self._names = names
        self._made: asyncio.Future[ssl.SSLContext] | None = None

    async def get(self) -> ssl.SSLContext:
        """Takes about 0.1 s once, on a thread. Raises OSError, or ValueError where the authority's files are damaged;
        the next call then tries anew."""
        if self._made is None:
            self._made = self._loop.run_in_executor(None, self._make)
        made = self._made
        try:
            return await asyncio.shield(made)
        except (OSError, ValueError):
            if self._made is made:
                self._made = None
            raise

    def _make(self) -> ssl.SSLContext:
        from clary.server.certificates import Authority, ServerContexts

        return ServerContexts(Authority.open(self._secrets), self._names).default


def establish_authority(secrets: Path) -> None:
    """Makes the certificate authority where there is none: clients want its file before they come. Done by a child, so
    that what it loads goes with it: call this before there are threads. Raises OSError."""
    if (secrets / "ca.pem").exists():
        return
    child = os.fork()
    if not child:
        status = 1
        try:
            from clary.server.certificates import Authority

            Authority.open(secrets)
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status:
        raise OSError(f"the certificate authority in {secrets} could not be made")
