"""Where an endpoint's invocations go: what the edges ask for, and may keep for a while."""

from __future__ import annotations

from typing import Any

from clary.context import Platform
from clary.serving.membership import Fleet
from clary.store import records
from clary.store.records import Record

_RESPONSE_TIMEOUT = 60.0  # seconds a model has for one answer
_CONCURRENCY = 64  # requests under way in one instance; more are turned away


def route(platform: Platform, account: str, region: str, endpoint_name: str) -> dict[str, Any]:
    """{"found", "status", "arn", "variants": [{"name", "weight", "instances", "timeout", "concurrency"}]} as JSON.

    `status` is "InService" whenever invocations are answered, so also during an update; `instances` are the unix
    socket paths of healthy model servers, `timeout` is in seconds, `concurrency` is for each instance. The name must
    match exactly.
    """
    record = platform.stores.records.read(
        lambda connection: records.find(connection, "endpoint", account, region, endpoint_name)
    )
    if record is None:
        return {"found": False}
    variants = _variants(record)
    serves = bool(variants) and record.status not in ("Creating", "Failed", "Deleting")
    return {
        "found": True,
        "status": "InService" if serves else record.status,
        "arn": record.arn,
        "variants": variants if serves else [],
    }


def _variants(record: Record) -> list[dict[str, Any]]:
    fleet = Fleet.load(record.document["_fleet"])
    serving = fleet.serving
    if serving is None:
        return []
    return [
        {
            "name": variant,
            "weight": serving.weights[variant],
            "instances": [each.address for each in fleet.of(serving, variant) if each.healthy and each.address],
            "timeout": _RESPONSE_TIMEOUT,
            "concurrency": _CONCURRENCY,
        }
        for variant in serving.counts
    ]
