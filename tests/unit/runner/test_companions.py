"""Hosts of a script that wait for each other and run commands for each other: here threads, with addresses as names."""

from __future__ import annotations

import os
import queue
import socket
import threading
from pathlib import Path

from clary.runner import companions, remote_shell
from clary.runner.companions import Companions
from clary.runner.distribution import Distribution

PATIENCE = 60.0
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


def spreads(count: int) -> list[Distribution]:
    """Of each host, with a port that is free."""
    probe = Distribution("mpi", HOSTS[0], port=0)
    with socket.create_server((HOSTS[0], 0)) as taken:
        port = taken.getsockname()[1] - probe.own_port
    return [Distribution("mpi", host, HOSTS[:count], port=port) for host in HOSTS[:count]]


def test_the_end_of_one_is_waited_for_by_all() -> None:
    begun: queue.Queue[str] = queue.Queue()
    ended: queue.Queue[str] = queue.Queue()
    gate = threading.Event()

    def part(spread: Distribution) -> None:
        with Companions(spread) as others:
            begun.put(spread.host)
            if spread.host == HOSTS[-1]:
                gate.wait(PATIENCE)
            others.wait()
            ended.put(spread.host)

    threads = [threading.Thread(target=part, args=(each,), daemon=True) for each in spreads(3)]
    for each in threads:
        each.start()
    assert sorted(begun.get(timeout=PATIENCE) for _ in HOSTS) == list(HOSTS)
    for each in threads:
        each.join(0.1)
    assert ended.empty()
    gate.set()
    assert sorted(ended.get(timeout=PATIENCE) for _ in HOSTS) == list(HOSTS)


def test_one_runs_what_the_first_asks_for_until_that_has_ended(tmp_path: Path) -> None:
    first, other = spreads(2)
    following = threading.Thread(target=companions.follow, args=(other, tmp_path, {**os.environ, "WHERE": "there"}))
    following.start()
    with Companions(first):
        port = str(first.own_port)
        assert remote_shell.main(port, other.host, "echo", "$WHERE", ">", "said;", "exit", "3") == 3
        assert remote_shell.main(port, other.host, "kill", "-9", "$$") == 128 + 9
        assert following.is_alive()
    following.join(PATIENCE)
    assert (tmp_path / "said").read_text() == "there\n" and not following.is_alive()
