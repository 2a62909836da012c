"""Makes an endpoint come true, and keeps it so.

One rule serves creation, update, scaling and repair: launch what the target lacks, look at every member, and when the
target can take all traffic, make it what serves and retire the rest. A member is written down before it is launched.
"""

from __future__ import annotations

import dataclasses

from sqlalchemy.engine import Connection

from clary.compute.base import Observation
from clary.context import Platform
from clary.errors import ServiceError
from clary.images.base import ImageBuildFailed
from clary.scheduler import retirement
from clary.scheduler.loop import Reconciler
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.services import resources
from clary.services.operation import Document
from clary.services.sagemaker.endpoint import images, launch
from clary.services.sagemaker.endpoint.declaration import ENDPOINT, RECONCILED
from clary.serving.membership import Fleet, Member
from clary.store.records import Record

_POLL = 2.0
_BUILD_POLL = 3.0  # seconds; the end of a build wakes the loop
_PATIENCE = 30.0  # seconds that a member which served may go without answering
_LOSSES = 5  # members lost in a row before a deployment gives up
_LONGEST_PAUSE = 60.0
_LONGEST_REASON = 1024


def reconcile(platform: Platform, record: Record) -> Outcome:
    if record.status == "Deleting":
        return _delete(platform, record)
    fleet = Fleet.load(record.document["_fleet"])
    if fleet.missing() and platform.clock.now() >= fleet.resume_at:
        try:
            fleet = images.resolved(platform, record.account, fleet)
        except ServiceError as error:
            return _give_up(platform, record, fleet, str(error))
        added = [launch.new_member(record, variant, generation) for variant, generation in fleet.missing()]
        fleet = fleet.with_members([*fleet.members, *added])
        record = _write(platform, record, fleet)
    if not all(each.launched for each in fleet.members):
        try:
            if not _prepared(platform, record.account, fleet):
                return AgainIn(_BUILD_POLL)
            record, fleet = _launch(platform, record, fleet)
        except (ServiceError, ImageBuildFailed) as error:
            return _give_up(platform, record, fleet, str(error))
    return _watch(platform, record, fleet)


def _prepared(platform: Platform, account: str, fleet: Fleet) -> bool:
    """Whether all images are ready; those that are not are being built. Raises ServiceError, ImageBuildFailed."""
    wanted = [images.of_member(platform, account, fleet, each) for each in fleet.members if not each.launched]
    ready = [platform.images.prepare(image) for image in wanted]  # each is asked: builds start side by side
    return all(ready)


def _launch(platform: Platform, record: Record, fleet: Fleet) -> tuple[Record, Fleet]:
    for member in fleet.members:
        if not member.launched:
            image = images.of_member(platform, record.account, fleet, member)
            platform.compute.launch(launch.spec(platform.settings, record, fleet, member, image))
    fleet = fleet.with_members(dataclasses.replace(each, launched=True) for each in fleet.members)
    return _write(platform, record, fleet), fleet


def _watch(platform: Platform, record: Record, fleet: Fleet) -> Outcome:
    now = platform.clock.now()
    seen = {each.id: platform.compute.observe(each.id) for each in fleet.members}
    for member in fleet.members:
        reason = _blame(record, member, seen[member.id])
        if reason:
            return _give_up(platform, record, fleet, reason)
    looked = fleet.with_members(_look(each, seen[each.id], now) for each in fleet.members)
    kept = looked.with_members(each for each in looked.members if not _gone(each, seen[each.id], now))
    kept = _paced(looked, kept, now)
    if kept.losses > _LOSSES and record.status == "Creating":
        return _give_up(platform, record, kept, "InternalServerError: instances were lost again and again.")
    if record.status != "InService" and kept.ready():
        return _switch(platform, record, kept)
    if kept != fleet:
        _write(platform, record, kept, retire_from=fleet)
    return AgainIn(_POLL if len(kept.members) == len(fleet.members) else max(0.0, kept.resume_at - now))


def _blame(record: Record, member: Member, seen: Observation) -> str:
    """Why a deployment fails because of this member; empty when it does not. A member that never served and ended by
    itself will do so again; one that was lost, or that served before, is replaced."""
    if member.served or record.status not in ("Creating", "Updating") or seen.exit is None:
        return ""
    if seen.exit.cause != "failed":
        return ""
    reason = seen.exit.failure.removeprefix("ClientError: ")
    if reason != seen.exit.failure:
        return reason
    return (
        f"The primary container for production variant {member.variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )


def _look(member: Member, seen: Observation, now: float) -> Member:
    healthy = seen.state == "running" and seen.healthy
    since = 0.0 if healthy or not member.served else member.unhealthy_since or now
    return dataclasses.replace(
        member,
        healthy=healthy,
        served=member.served or healthy,
        address=seen.address if healthy else "",
        unhealthy_since=since,
    )


def _gone(member: Member, seen: Observation, now: float) -> bool:
    if seen.state in ("exited", "lost"):
        return True
    return member.unhealthy_since > 0 and now - member.unhealthy_since > _PATIENCE


def _paced(looked: Fleet, kept: Fleet, now: float) -> Fleet:
    """Slows down the replacing of members that end before they serve."""
    staying = {each.id for each in kept.members}
    failed_starts = [each for each in looked.members if each.id not in staying and not each.served]
    if failed_starts:
        losses = kept.losses + 1
        return dataclasses.replace(kept, losses=losses, resume_at=now + min(2.0 ** (losses - 1), _LONGEST_PAUSE))
    if kept.losses and kept.ready():
        return dataclasses.replace(kept, losses=0, resume_at=0.0)
    return kept


def _switch(platform: Platform, record: Record, fleet: Fleet) -> Outcome:
    """The target takes all traffic; what it does not need drains and ends."""
    settled = dataclasses.replace(fleet, serving=fleet.target, members=tuple(fleet.needed()))
    changes = {"EndpointConfigName": fleet.target.config["EndpointConfigName"]}
    old = Fleet.load(record.document["_fleet"])
    _write(platform, record, settled, changes, status="InService", retire_from=old)
    platform.wake()
    return AgainIn(_POLL)


def _give_up(platform: Platform, record: Record, fleet: Fleet, reason: str) -> Outcome:
    """A deployment failed: without anything that serves the endpoint fails, else it goes back to what serves."""
    changes = {"FailureReason": reason[:_LONGEST_REASON]}
    old = Fleet.load(record.document["_fleet"])
    if fleet.serving is None:
        _write(platform, record, fleet.with_members(()), changes, status="Failed", retire_from=old)
        platform.wake()
        return Done()
    if record.status != "Updating":  # a replacement cannot be had; what is left goes on serving
        pause = dataclasses.replace(fleet, resume_at=platform.clock.now() + _LONGEST_PAUSE)
        launched = pause.with_members(each for each in fleet.members if each.launched)
        _write(platform, record, launched, changes, retire_from=old)
        return AgainIn(_POLL)
    back = dataclasses.replace(fleet, target=fleet.serving)
    back = back.with_members(
        each for each in fleet.members if each.served and each.generation == back.target.generation
    )
    scaled = fleet.target.generation == fleet.serving.generation
    _write(platform, record, back, changes, status="RollingBack" if scaled else "InService", retire_from=old)
    platform.wake()
    return AgainIn(0)


def _delete(platform: Platform, record: Record) -> Outcome:
    members = Fleet.load(record.document["_fleet"]).members
    alive = [each.id for each in members if platform.compute.observe(each.id).state in ("starting", "running")]
    for instance in alive:
        platform.compute.stop(instance)
    if alive:
        return AgainIn(_POLL)

    def commit(connection: Connection) -> None:
        for each in members:
            retirement.retire(connection, each.id, platform.clock.now())
        resources.remove(connection, record)

    platform.stores.records.write(commit)
    platform.wake()
    return Done()


def _write(
    platform: Platform,
    record: Record,
    fleet: Fleet,
    changes: Document | None = None,
    status: str = "",
    retire_from: Fleet | None = None,
) -> Record:
    """Stores the fleet; members of `retire_from` that it has no more are retired in the same transaction."""
    now = platform.clock.now()
    document = {**record.document, **(changes or {}), "_fleet": fleet.dump()}
    staying = {each.id for each in fleet.members}
    leaving = [each.id for each in (retire_from.members if retire_from else ()) if each.id not in staying]

    def commit(connection: Connection) -> Record:
        for instance in leaving:
            retirement.retire(connection, instance, now, fleet.drain)
        return resources.move(connection, ENDPOINT, record, document, now, status)

    return platform.stores.records.write(commit)


RECONCILER = Reconciler(RECONCILED, reconcile)
