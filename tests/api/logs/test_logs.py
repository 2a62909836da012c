"""CloudWatch Logs through boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.context import Platform
from clary.store import logs as store
from clary.testing.frozen_clock import FrozenClock

NOW = 1_700_000_000_500  # the clock of the tests, in milliseconds
DAY = 86_400_000
GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def logs(aws: Callable[[str], Any]) -> Any:
    return aws("logs")


@pytest.fixture
def put(logs: Any) -> Callable[..., Any]:
    """put(message, ..., stream=, start=): one event for each message, a millisecond apart."""
    made: set[tuple[str, str]] = set()

    def put(*messages: str, stream: str = "s", group: str = GROUP, start: int = NOW) -> Any:
        if (group, stream) not in made:
            if group not in {name for name, _ in made}:
                logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            made.add((group, stream))
        events = [{"timestamp": start + at, "message": text} for at, text in enumerate(messages)]
        return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    return put


def refused(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def texts(result: dict[str, Any]) -> list[str]:
    return [event["message"] for event in result["events"]]


def test_a_group_from_birth_to_death(logs: Any) -> None:
    logs.create_log_group(logGroupName=GROUP, tags={"a": "b"})
    assert refused(logs.create_log_group, logGroupName=GROUP) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    (group,) = logs.describe_log_groups()["logGroups"]
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert group == {
        "logGroupName": GROUP,
        "creationTime": NOW,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "logGroupArn": arn,
    }
    logs.delete_log_group(logGroupName=GROUP)
    assert logs.describe_log_groups()["logGroups"] == []
    assert refused(logs.delete_log_group, logGroupName=GROUP) == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )


def test_groups_are_paged_and_filtered(logs: Any) -> None:
    names = ["/aws/a", "/aws/b", "/aws/b_c", "other#", "Zebra"]
    for name in names:
        logs.create_log_group(logGroupName=name)
    pages = list(logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["logGroups"]) for page in pages] == [2, 2, 1]
    assert "nextToken" not in pages[-1]
    assert [group["logGroupName"] for page in pages for group in page["logGroups"]] == sorted(names)

    def found(**given: str) -> list[str]:
        return [group["logGroupName"] for group in logs.describe_log_groups(**given)["logGroups"]]

    assert found(logGroupNamePrefix="/aws/b") == ["/aws/b", "/aws/b_c"]
    assert found(logGroupNamePrefix="/AWS") == []
    assert found(logGroupNamePattern="ZEB") == ["Zebra"]
    assert found(logGroupNamePattern="_") == ["/aws/b_c"]
    assert refused(logs.describe_log_groups, logGroupNamePrefix="a", logGroupNamePattern="b")[0] == (
        "InvalidParameterException"
    )
    token = pages[0]["nextToken"]
    for given in ({"nextToken": token, "logGroupNamePrefix": "/aws"}, {"nextToken": "nonsense"}):
        assert refused(logs.describe_log_groups, **given) == (
            "InvalidParameterException",
            "The specified nextToken is invalid.",
        )


def test_constraints_are_answered_in_this_services_code(logs: Any) -> None:
    code, message = refused(logs.describe_log_groups, limit=51)
    assert code == "InvalidParameterException"
    assert message.startswith("1 validation error detected: Value '51' at 'limit' failed to satisfy constraint")


@pytest.mark.parametrize(
    "option", [{"kmsKeyId": "arn:aws:kms:us-east-1:1:key/a"}, {"logGroupClass": "INFREQUENT_ACCESS"}]
)
def test_options_that_are_not_built_are_refused_by_name(logs: Any, option: dict[str, str]) -> None:
    code, message = refused(logs.create_log_group, logGroupName="g", **option)
    assert code == "InvalidParameterException"
    assert next(iter(option)) in message
    assert logs.describe_log_groups()["logGroups"] == []


def test_streams(logs: Any, put: Callable[..., Any]) -> None:
    put("late", stream="job-1/algo-1", start=NOW + 10)
    put("early", stream="job-1/algo-2")
    put("other", stream="job-10/algo-1", start=NOW + 5)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="empty")
    assert refused(logs.create_log_stream, logGroupName=GROUP, logStreamName="empty") == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    assert refused(logs.create_log_stream, logGroupName="none", logStreamName="x")[0] == "ResourceNotFoundException"

    def found(**given: Any) -> list[str]:
        result = logs.describe_log_streams(logGroupName=GROUP, **given)
        assert "nextToken" not in result
        return [stream["logStreamName"] for stream in result["logStreams"]]

    assert found(logStreamNamePrefix="job-1/") == ["job-1/algo-1", "job-1/algo-2"]
    assert found(orderBy="LastEventTime", descending=True) == ["job-1/algo-1", "job-10/algo-1", "job-1/algo-2", "empty"]
    assert found(descending=True) == sorted(found(), reverse=True)
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, PaginationConfig={"PageSize": 1}
    )
    assert [stream["logStreamName"] for page in pages for stream in page["logStreams"]] == found(
        orderBy="LastEventTime", descending=True
    )
    assert refused(
        logs.describe_log_streams, logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="job"
    ) == ("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
    shown = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="job-1/algo-2")["logStreams"][0]
    assert (shown["firstEventTimestamp"], shown["lastEventTimestamp"], shown["lastIngestionTime"]) == (NOW, NOW, NOW)
    assert shown["arn"].endswith(f"log-group:{GROUP}:log-stream:job-1/algo-2")
    logs.delete_log_stream(logGroupName=GROUP, logStreamName="job-1/algo-2")
    assert found(logStreamNamePrefix="job-1/") == ["job-1/algo-1"]


def test_the_loop_of_the_sdks_reads_each_line_once_and_stops(logs: Any, put: Callable[..., Any]) -> None:
    """As the SageMaker SDK does: from the head, on with each forward token, until there are no events."""

    def drain(token: str | None) -> tuple[list[str], str]:
        seen: list[str] = []
        for _ in range(20):
            more = {"nextToken": token} if token else {}
            result = logs.get_log_events(logGroupName=GROUP, logStreamName="s", startFromHead=True, limit=7, **more)
            if not result["events"]:
                assert token is None or result["nextForwardToken"] == token
                return seen, result["nextForwardToken"]
            seen += texts(result)
            token = result["nextForwardToken"]
        pytest.fail("never caught up")

    put(*map(str, range(20)))
    seen, token = drain(None)
    assert seen == list(map(str, range(20)))
    assert drain(token) == ([], token)
    put("new", "newer", start=NOW + 100)
    assert drain(token)[0] == ["new", "newer"]


def test_an_empty_streams_token_finds_what_comes_later(logs: Any, put: Callable[..., Any]) -> None:
    put("elsewhere", stream="t")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="empty")
    first = logs.get_log_events(logGroupName=GROUP, logStreamName="empty")
    assert first["events"] == []
    events = [{"timestamp": NOW, "message": "x"}]
    logs.put_log_events(logGroupName=GROUP, logStreamName="empty", logEvents=events)
    more = logs.get_log_events(logGroupName=GROUP, logStreamName="empty", nextToken=first["nextForwardToken"])
    assert texts(more) == ["x"]


def test_without_a_start_the_newest_come_first_page_and_the_pages_go_back(logs: Any, put: Callable[..., Any]) -> None:
    put(*map(str, range(10)))
    where = {"logGroupName": GROUP, "logStreamName": "s", "limit": 4}
    page = logs.get_log_events(**where)
    assert texts(page) == ["6", "7", "8", "9"]
    page = logs.get_log_events(**where, nextToken=page["nextBackwardToken"])
    assert texts(page) == ["2", "3", "4", "5"]
    assert texts(logs.get_log_events(**where, nextToken=page["nextForwardToken"])) == ["6", "7", "8", "9"]
    page = logs.get_log_events(**where, nextToken=page["nextBackwardToken"])
    assert texts(page) == ["0", "1"]
    token = page["nextBackwardToken"]
    page = logs.get_log_events(**where, nextToken=token)
    assert (texts(page), page["nextBackwardToken"]) == ([], token)


def test_spans_of_time_and_names_by_arn(logs: Any, put: Callable[..., Any]) -> None:
    put(*map(str, range(5)))
    span = {"startTime": NOW + 1, "endTime": NOW + 3, "logStreamName": "s"}
    assert texts(logs.get_log_events(logGroupName=GROUP, **span)) == ["1", "2"]
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert texts(logs.get_log_events(logGroupIdentifier=arn, **span)) == ["1", "2"]
    for given in ({"logGroupIdentifier": arn, "logGroupName": GROUP}, {}, {"logGroupIdentifier": "arn:aws:s3:::b"}):
        assert refused(logs.get_log_events, **given, **span)[0] == "InvalidParameterException"
    elsewhere = arn.replace("us-east-1", "eu-west-1")
    assert refused(logs.get_log_events, logGroupIdentifier=elsewhere, **span)[0] == "ResourceNotFoundException"
    assert refused(logs.get_log_events, logGroupName=GROUP, logStreamName="none") == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )


@pytest.mark.parametrize("token", ["n/" + "0" * 56, "f/1", "x", "f/" + "9" * 56, "f/" + "٣" * 56])
def test_tokens_of_nobody_are_refused(logs: Any, put: Callable[..., Any], token: str) -> None:
    put("a")
    assert refused(logs.get_log_events, logGroupName=GROUP, logStreamName="s", nextToken=token)[0] == (
        "InvalidParameterException"
    )


def test_an_answer_holds_a_megabyte_and_the_rest_follows(logs: Any, put: Callable[..., Any]) -> None:
    big = "x" * 300_000
    for number in range(5):
        put(big, start=NOW + number)
    first = logs.get_log_events(logGroupName=GROUP, logStreamName="s", startFromHead=True)
    rest = logs.get_log_events(logGroupName=GROUP, logStreamName="s", nextToken=first["nextForwardToken"])
    assert [len(first["events"]), len(rest["events"])] == [3, 2]


def test_a_batch_must_be_in_order_and_within_bounds(logs: Any, put: Callable[..., Any]) -> None:
    put("a")

    def batch(*events: tuple[int, str]) -> tuple[str, str]:
        given = [{"timestamp": at, "message": text} for at, text in events]
        return refused(logs.put_log_events, logGroupName=GROUP, logStreamName="s", logEvents=given)

    assert batch((NOW, "b"), (NOW - 1, "c")) == (
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    assert "24 hours" in batch((NOW - DAY - 1, "b"), (NOW, "c"))[1]
    assert "too large" in batch(*[(NOW, "x" * 600_000)] * 2)[1]
    assert "too large" in batch((NOW, "é" * 524_288))[1]
    assert texts(logs.get_log_events(logGroupName=GROUP, logStreamName="s")) == ["a"]


def test_events_too_old_or_too_new_are_left_out_and_said(logs: Any, put: Callable[..., Any]) -> None:
    put("here")
    assert put("old", start=NOW - 15 * DAY)["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert put("new", start=NOW + 3 * 3_600_000)["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert put("expired", start=NOW - 2 * DAY)["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    edge = put("in", "out", start=NOW + 2 * 3_600_000)
    assert edge["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert texts(logs.get_log_events(logGroupName=GROUP, logStreamName="s")) == ["here", "in"]


def test_retention_hides_what_has_expired(logs: Any, put: Callable[..., Any], clock: FrozenClock) -> None:
    put("old", start=NOW - 2 * DAY)
    put("new")
    everything = {"logGroupName": GROUP, "logStreamName": "s"}
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 1
    assert texts(logs.get_log_events(**everything)) == ["new"]
    assert texts(logs.filter_log_events(logGroupName=GROUP)) == ["new"]
    clock.advance(2 * 86_400)
    assert texts(logs.get_log_events(**everything)) == []
    logs.delete_retention_policy(logGroupName=GROUP)
    assert texts(logs.get_log_events(**everything)) == ["old", "new"]
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    code, message = refused(logs.put_retention_policy, logGroupName=GROUP, retentionInDays=2)
    assert code == "InvalidParameterException"
    assert "enum value set: [1, 3, 5" in message


def test_filtering_goes_over_streams_by_time(logs: Any, put: Callable[..., Any]) -> None:
    put("a ERROR", "a fine", stream="job/a")
    put("b fine", "b ERROR", stream="job/b", start=NOW)
    put("c ERROR", stream="other", start=NOW + 5)
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern="ERROR")
    assert texts(found) == ["a ERROR", "b ERROR", "c ERROR"]
    assert found["searchedLogStreams"] == []
    assert "nextToken" not in found
    event = found["events"][0]
    assert (event["logStreamName"], event["timestamp"], event["ingestionTime"]) == ("job/a", NOW, NOW)
    assert len({event["eventId"] for event in found["events"]}) == 3
    assert texts(logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="job/", filterPattern="ERROR")) == [
        "a ERROR",
        "b ERROR",
    ]
    assert texts(logs.filter_log_events(logGroupName=GROUP, logStreamNames=["other", "job/b"])) == [
        "b fine",
        "b ERROR",
        "c ERROR",
    ]
    assert texts(logs.filter_log_events(logGroupName=GROUP, startTime=NOW + 1, endTime=NOW + 5)) == [
        "a fine",
        "b ERROR",
    ]
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="fine", PaginationConfig={"PageSize": 1}
    )
    assert [text for page in pages for text in texts(page)] == ["b fine", "a fine"]
    assert (
        refused(logs.filter_log_events, logGroupName=GROUP, logStreamNames=["none"])[0] == "ResourceNotFoundException"
    )
    for given in (
        {"logStreamNames": ["s"], "logStreamNamePrefix": "s"},
        {"filterPattern": "[ip, user]"},
        {"filterPattern": '"open'},
        {"filterPattern": "{ $.a = }"},
    ):
        assert refused(logs.filter_log_events, logGroupName=GROUP, **given)[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR Disk", "Disk: ERROR", True),
        ("ERROR Disk", "ERROR", False),
        ('"disk full"', "the disk full again", True),
        ('"disk full"', "full disk", False),
        ('"a \\"b\\""', 'a "b"', True),
        ("ERROR -Exiting", "ERROR: Exiting", False),
        ("ERROR -Exiting", "ERROR: going on", True),
        ('-"two words"', "two words", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "an INFO", False),
        ("{ $.n = 4 }", '{"n": 4.0}', True),
        ("{ $.n = 4 }", '{"n": "4"}', False),
        ("{ $.n != 4 }", '{"n": 5}', True),
        ("{ $.n != 4 }", '{"m": 5}', False),
        ("{ $.n >= 4 && $.n < 5 }", '{"n": 4.9}', True),
        ("{ $.n > 4 || $.m > 4 }", '{"n": 1, "m": 5}', True),
        ("{ ($.a = x || $.a = y) && $.b IS TRUE }", '{"a": "y", "b": true}', True),
        ('{ $.user.names[1] = "Ma*" }', '{"user": {"names": ["x", "Mary"]}}', True),
        ('{ $.s = "[a]*" }', '{"s": "a1"}', False),
        ("{ $.s NOT EXISTS }", '{"t": 1}', True),
        ("{ $.s IS NULL }", '{"s": null}', True),
        ("{ $.n = 4 }", "n = 4", False),
    ],
)
def test_patterns(logs: Any, put: Callable[..., Any], pattern: str, message: str, matches: bool) -> None:
    put(message)
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern=pattern)
    assert texts(found) == ([message] if matches else [])


def test_tags_by_name_and_by_arn(logs: Any) -> None:
    logs.create_log_group(logGroupName=GROUP, tags={"a": "1"})
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    logs.tag_log_group(logGroupName=GROUP, tags={"b": "2", "a": "3"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "3", "b": "2"}
    logs.tag_resource(resourceArn=arn, tags={"c": "4"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a", "absent"])
    logs.untag_log_group(logGroupName=GROUP, tags=["b"])
    assert logs.list_tags_log_group(logGroupName=GROUP)["tags"] == {"c": "4"}
    assert (
        refused(logs.tag_resource, resourceArn=arn, tags={str(n): "" for n in range(50)})[0] == "TooManyTagsException"
    )
    assert refused(logs.list_tags_log_group, logGroupName="none")[0] == "ResourceNotFoundException"


def test_lines_of_agents_and_lines_of_clients_meet(logs: Any, platform: Platform) -> None:
    lines = [(NOW, "[0]\ttrain-rmse:0.5"), (NOW, json.dumps({"a": 1}))]
    platform.stores.logs.write(
        lambda connection: store.append(
            connection, "123456789012", "us-east-1", GROUP, "job/algo-1", lines, NOW / 1000, 0
        )
    )
    result = logs.get_log_events(logGroupName=GROUP, logStreamName="job/algo-1", startFromHead=True)
    assert texts(result) == [text for _, text in lines]
