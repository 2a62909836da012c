"""The instances behind an endpoint as the gateway sees them: connections, requests in flight, who waits for a turn."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from clary.contract.sockets import reached
from clary.serving.counters import Counters
from clary.serving.directory import Route, Variant
from clary.serving.model_connection import ModelConnection
from clary.serving.time_limits import TimeLimits


class Instance:
    """One model server: the path of its socket, its idle connections, the requests in flight on the others."""

    __slots__ = ("_closed", "busy", "idle", "path", "shunned_until")

    def __init__(self, path: str) -> None:
        self.path = path
        self.busy = 0
        self.idle: list[ModelConnection] = []
        self.shunned_until = 0.0
        self._closed = False

    def freed(self, connection: ModelConnection) -> None:
        """The connection may take another request."""
        if self._closed:
            connection.close()
        else:
            self.idle.append(connection)

    def close(self) -> None:
        """Ends idle connections now, the others when they have answered."""
        self._closed = True
        for connection in tuple(self.idle):
            connection.close()


@dataclass(frozen=True, slots=True)
class Place:
    """Whose endpoint it is; `limit` bounds an answer's body in bytes."""

    account: str
    region: str
    endpoint: str
    limit: int


class VariantFleet:
    """A variant's instances. `waiting` holds what to call when an instance has room again, oldest first; `limits` are
    the time limits of what is under way; `named` is the header line that says which variant answered."""

    def __init__(self, place: Place, variant: Variant) -> None:
        self.place = place
        self.variant = variant
        self.named = f"x-Amzn-Invoked-Production-Variant: {variant.name}\r\n"
        self.limits = TimeLimits(asyncio.get_running_loop())
        self.instances = [Instance(path) for path in variant.instances]
        self.waiting: deque[Callable[[], None]] = deque()
        self.counters = Counters()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Runs it in a task that is not forgotten."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def update(self, variant: Variant) -> None:
        """Takes a changed variant over; instances that stay keep their connections and counts."""
        self.variant = variant
        known = {each.path: each for each in self.instances}
        self.instances = [known.pop(path) if path in known else Instance(path) for path in variant.instances]
        for gone in known.values():
            gone.close()
        while self.waiting and (not self.instances or self.pick(0.0)):  # room that came, or no hope of any
            self.wake()

    def pick(self, now: float, but: Instance | None = None) -> Instance | None:
        """The instance with the fewest requests in flight that has room, never `but`; None when there is none."""
        best: Instance | None = None
        room = self.variant.concurrency
        for each in self.instances:
            if each.busy >= room or each is but:
                continue
            if best is None or (each.shunned_until > now, each.busy) < (best.shunned_until > now, best.busy):
                best = each
        return best

    def wake(self) -> None:
        """An instance has room again."""
        if self.waiting:
            self.waiting.popleft()()


class EndpointFleet:
    """An endpoint's variants, kept across changes of its route."""

    def __init__(self, place: Place, route: Route) -> None:
        self._place = place
        self.route = route
        self.variants = {each.name: VariantFleet(place, each) for each in route.variants}
        self._only = next(iter(self.variants.values())) if len(self.variants) == 1 else None

    def update(self, route: Route) -> None:
        self.route = route
        before, self.variants = self.variants, {}
        for variant in route.variants:
            fleet = before.pop(variant.name, None) or VariantFleet(self._place, variant)
            fleet.update(variant)
            self.variants[variant.name] = fleet
        self._only = next(iter(self.variants.values())) if len(self.variants) == 1 else None
        for gone in before.values():
            gone.update(Variant(gone.variant.name, 0.0, ()))

    def choose(self, name: str | None) -> VariantFleet | None:
        """The variant of that name, or one by weight; None when there is no such variant."""
        if name is not None:
            return self.variants.get(name)
        if self._only is not None:
            return self._only
        fleets = list(self.variants.values())
        weights = [each.variant.weight for each in fleets]
        if sum(weights) <= 0:
            return fleets[0] if fleets else None
        return random.choices(fleets, weights)[0]


async def connect(instance: Instance, limit: int) -> ModelConnection:
    """A new connection to the instance; it takes answers up to `limit` bytes. Raises OSError when nobody listens there
    or nobody accepts within a second."""

    def lost(connection: ModelConnection) -> None:
        if connection in instance.idle:
            instance.idle.remove(connection)

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(1.0):
        with reached(instance.path) as path:
            _, made = await loop.create_unix_connection(lambda: ModelConnection(limit, instance.freed, lost), path)
    return made
