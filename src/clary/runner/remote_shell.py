"""Inside: has a command run on another host of the job, as rsh does (remote_shell.py PORT HOST WORD...), where
clary.runner.companions follows. Its status is the command's."""

from __future__ import annotations

import json
import socket
import sys


def main(port: str, host: str, *words: str) -> int:
    with (
        socket.create_connection((host, int(port))) as connection,
        connection.makefile("rw", encoding="utf-8") as stream,
    ):
        stream.write(json.dumps(" ".join(words)) + "\n")  # for a shell: whoever asks has quoted what needs it
        stream.flush()
        status = int(stream.readline() or 1)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
