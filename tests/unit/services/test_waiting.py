"""Who is held: only callers that say that they wait, and ask as their wait does."""

from __future__ import annotations

from typing import Any, cast

import pytest

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.services import tables
from clary.services.operation import Call
from clary.services.waiting import Client, Wait, Waiting, client_of
from clary.testing.frozen_clock import FrozenClock
from clary.wire.messages import Headers, Request

BOTO3 = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6 md/arch#x86_64 lang/python#3.11.7 {} cfg/retry-mode#legacy"
PLAIN = BOTO3.format("m/Z,b,E,e,N")
WAITER = BOTO3.format("m/Z,b,B,E,e,N")
SDK2 = f"{PLAIN} lib/AWS-SageMaker-Python-SDK#2.257.7"
SDK3_SESSION = f"{PLAIN} lib/AWS-SageMaker-Python-SDK#3.0"
SDK3 = f"{PLAIN} lib/AWS-SageMakerCore#2.9.0 md/AWS-SageMaker-Studio#x"


class Asking:
    """Asks for a job or an endpoint that was created when the clock started, and takes what it is told."""

    def __init__(self, longest: float = 25.0, operation: str = "DescribeTrainingJob") -> None:
        self.clock = FrozenClock()
        self.waiting = Waiting(tables.WAITS, longest, self.clock)
        self.operation = operation
        self.created = self.clock.now()

    def ask(
        self, agent: str, after: float = 0.0, status: str = "InProgress", owner: str = "root", **more: Any
    ) -> Wait | None:
        """`after` seconds of silence. What is held is answered when its time is over."""
        self.clock.advance(after)
        noun = self.operation.removeprefix("Describe")
        document = {f"{noun}Status": status, f"{noun}Arn": "arn:x", "CreationTime": self.created, **more}
        wait = self.waiting.consider(self._call(agent, owner), document)
        if wait is not None:
            self.clock.advance(wait.seconds)
            self.waiting.answered(wait)
        return wait

    def held(self, agent: str, after: float = 0.0, **more: Any) -> float:
        """For how many seconds."""
        wait = self.ask(agent, after, **more)
        return wait.seconds if wait else 0.0

    def _call(self, agent: str, owner: str) -> Call:
        request = Request("POST", "/", Headers([("User-Agent", agent)] if agent else []))
        principal = Principal("root", "1", owner, owner)
        nothing = cast(Any, None)
        return Call(
            nothing, principal, "sagemaker", self.operation, "1", "r", "id", request, nothing, Caller(principal)
        )


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("", None),
        ("curl/8.1", None),
        (PLAIN, None),
        (BOTO3.format("m/b"), None),
        (BOTO3.format("m/Bx,xB"), None),
        (BOTO3.format("am/B"), None),
        (f"{PLAIN} md/x#lib", None),
        (WAITER, Client.WAITER),
        (BOTO3.format("m/B"), Client.WAITER),
        (BOTO3.format("m/B,E"), Client.WAITER),
        (BOTO3.format("m/E,B"), Client.WAITER),
        ("aws-cli/2.36.7 m/E,B,b", Client.WAITER),
        (SDK2, Client.SLEEPS_FIRST),
        (SDK3_SESSION, Client.SLEEPS_FIRST),
        (f"{WAITER} lib/AWS-SageMaker-Python-SDK#2.257.7", Client.WAITER),
        (SDK3, Client.ASKS_FIRST),
    ],
)
def test_who_says_what_it_is(agent: str, client: Client | None) -> None:
    assert client_of(agent) is client


def test_a_plain_caller_is_never_held() -> None:
    job = Asking()
    assert [job.held(PLAIN, after) for after in (0.0, 0.01, 1, 5, 5, 5, 30)] == [0.0] * 7


def test_a_waiter_is_held_each_time_until_the_status_is_settled() -> None:
    job = Asking()
    assert [job.held(WAITER, after) for after in (0.0, 120, 120)] == [25.0] * 3
    assert job.held(WAITER, status="Stopping") == 25
    for settled in ("Completed", "Failed", "Stopped"):
        assert job.ask(WAITER, status=settled) is None


def test_what_ends_a_wait() -> None:
    wait = Asking().ask(WAITER, SecondaryStatus="Starting")
    assert wait
    told = {"TrainingJobArn": "arn:x", "TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting"}
    assert not wait.over(told)
    assert not wait.over(told | {"SecondaryStatus": "Training"})
    assert not wait.over(told | {"TrainingJobStatus": "Stopping"})
    assert wait.over(told | {"TrainingJobStatus": "Stopped"})


def test_sdk_2_with_logs_is_held_at_its_first_ask_alone() -> None:
    job = Asking()
    assert job.held(SDK2, 5.02) == 25
    assert [job.held(SDK2, after) for after in (30.0, 30.1, 40)] == [0.0] * 3


def test_sdk_2_without_logs_is_held_at_each_ask() -> None:
    job = Asking()
    assert [job.held(SDK2, after) for after in (5.0, 5.1, 5.3)] == [25.0] * 3


def test_sdk_2_that_comes_back_to_an_old_job_is_held_once_it_is_seen_to_wait() -> None:
    job = Asking()
    assert [job.held(SDK2, after) for after in (60.0, 5.0, 5.0)] == [0.0, 25.0, 25.0]


@pytest.mark.parametrize("agent", [SDK2, SDK3_SESSION, SDK3])
@pytest.mark.parametrize("pause", [1.0, 2.0, 10.0, 20.0])
def test_a_script_with_a_loop_of_its_own_is_not_held(agent: str, pause: float) -> None:
    job = Asking()
    assert job.held(agent) == 0
    assert [job.held(agent, pause) for _ in range(5)] == [0.0] * 5


def test_sdk_3_is_held_from_its_wait_on_until_the_job_ends() -> None:
    job = Asking()
    assert job.held(SDK3, 0.03) == 0  # `create` asks too, and returns
    wait = job.ask(SDK3, 0.05)
    assert wait
    assert wait.seconds == 25
    assert not wait.over({"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"})


def test_sdk_3_is_held_shortly_later_and_until_any_change() -> None:
    job = Asking()
    job.ask(SDK3), job.ask(SDK3)
    wait = job.ask(SDK3, 5.0, SecondaryStatus="Downloading")
    assert wait
    assert wait.seconds == 5
    assert not wait.over({"TrainingJobStatus": "InProgress", "SecondaryStatus": "Downloading"})
    assert wait.over({"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"})
    assert wait.over({"TrainingJobStatus": "Stopping", "SecondaryStatus": "Downloading"})


def test_sdk_3_that_begins_to_wait_late_is_held_too() -> None:
    job = Asking()
    assert [job.held(SDK3, after) for after in (0.0, 300.0, 0.05)] == [0.0, 0.0, 25.0]


def test_a_deployment_is_held_at_each_ask() -> None:
    endpoint = Asking(operation="DescribeEndpoint")
    assert [endpoint.held(SDK2, 30.1, status="Creating") for _ in range(3)] == [25.0] * 3
    assert endpoint.held(SDK2, 30.1, status="InService") == 0
    assert endpoint.held(SDK2, 3600, status="Updating") == 25
    assert endpoint.held(SDK2, 2, status="Updating") == 0


def test_a_look_at_a_new_endpoint_is_not_held() -> None:
    endpoint = Asking(operation="DescribeEndpoint")
    assert [endpoint.held(SDK2, after, status="Creating") for after in (0.1, 5.0)] == [0.0, 0.0]


def test_callers_are_told_apart() -> None:
    job = Asking()
    assert job.held(SDK2, 5.0, owner="one") == 25
    assert job.held(SDK2, 5.0, owner="two") == 0  # its first, of a job that is 35 s old
    assert job.held(SDK2, 0.5, owner="one") == 25  # 5.5 s after its last answer


def test_it_can_be_shortened_and_switched_off() -> None:
    assert Asking(longest=3).held(WAITER) == 3
    short = Asking(longest=3)
    assert [short.held(SDK3, after) for after in (0.0, 0.05, 5.0)] == [0.0, 3.0, 3.0]
    assert Asking(longest=0).held(WAITER) == 0


def test_operations_that_nobody_waits_for_are_left_alone() -> None:
    waiting = Waiting(tables.WAITS, 25, FrozenClock())
    call = cast(Call, type("Call", (), {"service": "iam", "operation": "DescribeTrainingJob"}))
    assert waiting.consider(call, {}) is None


def test_what_is_declared_is_what_can_be_reached() -> None:
    """Each status of the declaration can be left, and leads to one that is settled."""
    for waits in tables.WAITS.values():
        for status in waits.unsettled & waits.resource.edges.keys():
            seen, open_ = set(), {status}
            while open_:
                seen |= open_
                open_ = {after for each in open_ for after in waits.resource.edges.get(each, ())} - seen
            assert seen - waits.unsettled
