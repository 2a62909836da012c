"""Inside: a model server of the user's own. It listens on a port, as the container contract has it; whoever asks comes
by a unix socket, and a process beside it passes on what is said.

In a network namespace of its own that port is 8080. A plain process shares the machine's ports with the others: there
SAGEMAKER_BIND_TO_PORT names one that was free.
"""

from __future__ import annotations

import os
import signal
import socket

from clary.contract.layout import BASE_VARIABLE
from clary.runner import command
from clary.sandbox import relay

_SOCKET_VARIABLE = "CLARY_MODEL_SOCKET"
_PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
_PORT = 8080
_MOST_ASKED = 512  # connections at once


def main() -> int:
    """Becomes the command, as clary.runner.command.main does."""
    path = os.environ.pop(_SOCKET_VARIABLE)
    if BASE_VARIABLE in os.environ and _PORT_VARIABLE not in os.environ:
        os.environ[_PORT_VARIABLE] = str(_free_port())
    port = int(os.environ.get(_PORT_VARIABLE) or _PORT)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(relay.BACKLOG)
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends with the sandbox, after the last answer
        relay.relay(listener, ("127.0.0.1", port), _MOST_ASKED)
        os._exit(0)
    listener.close()
    return command.main()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
