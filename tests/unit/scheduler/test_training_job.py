"""Training jobs from intent to ending, over FakeCompute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clary.compute.base import Observation
from clary.errors import ServiceError
from clary.images.base import ImageBuildFailed
from clary.testing.fake_compute import FakeCompute
from clary.testing.fake_images import FakeImages
from sagemaker_bench import ARN, IMAGE, Bench


def statuses(job: dict[str, Any]) -> list[str]:
    return [entry["Status"] for entry in job["SecondaryStatusTransitions"]]


def only_instance(bench: Bench) -> str:
    (instance,) = bench.compute.alive()
    return instance


def test_a_job_that_completes(bench: Bench) -> None:
    assert bench.train("job") == {"TrainingJobArn": f"{ARN}:training-job/job"}
    assert bench.job("job")["SecondaryStatusTransitions"][0]["StatusMessage"] == "Starting the training job"
    bench.settle(3)
    instance = only_instance(bench)
    for name in ("Starting", "Downloading", "Training", "Uploading"):
        bench.clock.advance(10)
        bench.compute.phase(instance, name)
        bench.step()
        job = bench.job("job")
        assert job["SecondaryStatus"] == name
        assert [("EndTime" in entry) for entry in job["SecondaryStatusTransitions"]].count(False) == 1
        assert "ModelArtifacts" not in job
    bench.clock.advance(5)
    bench.compute.exit(instance, model="s3://b/out/job/output/model.tar.gz", metrics={"train:error": (0.25, 12.0)})
    bench.settle()
    job = bench.job("job")
    assert job["TrainingJobStatus"] == "Completed"
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in entry for entry in job["SecondaryStatusTransitions"])
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://b/out/job/output/model.tar.gz"}
    assert job["FinalMetricDataList"] == [{"MetricName": "train:error", "Value": 0.25, "Timestamp": 12.0}]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] == 25
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"]
    assert bench.compute.discarded == {instance}
    assert bench.active() == []
    assert not [member for member in job if member.startswith("_")]


def test_what_an_instance_is_launched_with(bench: Bench) -> None:
    bench.train("job", Environment={"K": "v"}, EnableNetworkIsolation=True)
    bench.settle(3)
    (spec,) = bench.compute.specs
    assert (spec.purpose, spec.job_name, spec.log_group) == ("training", "job", "/aws/sagemaker/TrainingJobs")
    assert spec.id.startswith("job-") and spec.log_stream.startswith("job/algo-1-")
    assert spec.output == "s3://b/out/job/output"
    assert (spec.channels[0].source, spec.channels[0].content_type) == ("s3://b/train/", "text/csv")
    assert spec.hyperparameters == {"num_round": "5", "objective": "binary:logistic"}
    assert (spec.environment, spec.network_isolation, spec.max_runtime) == ({"K": "v"}, True, 3600.0)
    assert spec.memory == 8 << 30
    assert "validation:auc" in {metric.name for metric in spec.metrics}


def test_a_job_that_fails_says_why(bench: Bench) -> None:
    bench.train("job")
    bench.settle(3)
    bench.compute.phase(only_instance(bench), "Training")
    bench.compute.exit(only_instance(bench), "failed", failure="AlgorithmError: " + "x" * 2000)
    bench.settle()
    job = bench.job("job")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: xxx") and len(job["FailureReason"]) == 1024
    assert "ModelArtifacts" not in job
    assert statuses(job) == ["Starting", "Training", "Failed"]


def test_a_lost_agent_fails_the_job(bench: Bench) -> None:
    bench.train("job")
    bench.settle(3)
    bench.compute.lose(only_instance(bench))
    bench.settle()
    assert bench.job("job")["FailureReason"].startswith("InternalServerError: algo-1 was lost")
    assert sum(bench.compute.runs.values()) == 1


def test_a_job_begins_anew_after_an_error_of_ours_as_often_as_it_may(bench: Bench) -> None:
    bench.train("job", RetryStrategy={"MaximumRetryAttempts": 2})
    instances = []
    for _ in range(3):
        bench.settle(3)
        instances.append(only_instance(bench))
        bench.compute.phase(instances[-1], "Training")
        bench.step()
        bench.clock.advance(100)
        if len(instances) < 3:
            assert bench.job("job")["TrainingJobStatus"] == "InProgress"
            bench.compute.lose(instances[-1])
            bench.step()
    attempt = ["Starting", "Training", "Restarting"]
    assert statuses(bench.job("job")) == [*attempt, *attempt, "Starting", "Training"]
    assert [spec.max_runtime for spec in bench.compute.specs] == pytest.approx([3600, 3500, 3400], abs=1)
    bench.compute.lose(instances[-1])
    bench.settle()
    job = bench.job("job")
    assert (job["TrainingJobStatus"], statuses(job)[-1]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("InternalServerError: algo-1 was lost")
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert len(set(instances)) == 3 and bench.compute.discarded == set(instances)


@pytest.mark.parametrize("reason", ["AlgorithmError: no", "ClientError: no"])
def test_what_is_the_user_s_fault_is_not_tried_again(bench: Bench, reason: str) -> None:
    bench.train("job", RetryStrategy={"MaximumRetryAttempts": 30})
    bench.settle(3)
    bench.compute.exit(only_instance(bench), "failed", failure=reason)
    bench.settle()
    assert bench.job("job")["FailureReason"] == reason
    assert len(bench.compute.specs) == 1


def test_an_attempt_may_wait_anew_and_be_stopped(bench: Bench) -> None:
    limits = {"MaxRuntimeInSeconds": 3600, "MaxPendingTimeInSeconds": 7200}
    bench.train("job", RetryStrategy={"MaximumRetryAttempts": 1}, StoppingCondition=limits)
    bench.settle(3)
    bench.clock.advance(10_000)
    bench.compute.lose(only_instance(bench))
    bench.step()
    assert bench.job("job")["SecondaryStatus"] == "Starting"
    bench.settle(3)
    bench.compute.phase(only_instance(bench), "Training")
    bench.step()
    bench.call("StopTrainingJob", TrainingJobName="job")
    bench.settle()
    assert bench.job("job")["TrainingJobStatus"] == "Stopped"
    assert not [member for member in bench.job("job") if member.startswith("_")]


def test_stop_while_it_runs(bench: Bench) -> None:
    bench.train("job")
    bench.settle(3)
    bench.compute.phase(only_instance(bench), "Training")
    bench.step()
    bench.call("StopTrainingJob", TrainingJobName="job")
    assert (bench.job("job")["TrainingJobStatus"], bench.job("job")["SecondaryStatus"]) == ("Stopping", "Stopping")
    bench.call("StopTrainingJob", TrainingJobName="job")  # once more changes nothing
    bench.settle()
    job = bench.job("job")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses(job) == ["Starting", "Training", "Stopping", "Stopped"]
    assert "FailureReason" not in job
    with pytest.raises(ServiceError, match="because the training job is in status Stopped"):
        bench.call("StopTrainingJob", TrainingJobName="job")


def test_stop_before_anything_was_launched(bench: Bench) -> None:
    bench.train("job")
    bench.call("StopTrainingJob", TrainingJobName="job")
    job = bench.job("job")
    assert (job["TrainingJobStatus"], statuses(job)) == ("Stopped", ["Starting", "Stopping", "Stopped"])
    bench.settle()
    assert bench.compute.specs == []


def test_run_time_over(bench: Bench) -> None:
    bench.train("job")
    bench.settle(3)
    bench.compute.phase(only_instance(bench), "Training")
    bench.compute.phase(only_instance(bench), "Stopping")
    bench.compute.phase(only_instance(bench), "Uploading")
    bench.compute.exit(only_instance(bench), "max-runtime", model="s3://b/m.tar.gz")
    bench.settle()
    job = bench.job("job")
    assert statuses(job) == ["Starting", "Training", "Stopping", "Uploading", "MaxRuntimeExceeded"]
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://b/m.tar.gz"


def test_a_job_whose_run_time_is_over_is_seen_stopping(tmp_path: Path) -> None:
    bench = Bench(tmp_path, compute=FakeCompute(on_stop=None))
    bench.train("job")
    bench.settle(3)
    bench.compute.phase(only_instance(bench), "Stopping")
    bench.settle(3)
    job = bench.job("job")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopping", "Stopping")
    bench.close()


def test_waiting_has_an_end(bench: Bench) -> None:
    bench.train("job", StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 100})
    bench.settle(3)
    bench.clock.advance(101)
    bench.settle()
    job = bench.job("job")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_jobs_wait_in_order_and_say_for_what(bench: Bench) -> None:
    for n in range(4):
        bench.train(f"job-{n}")
        bench.clock.advance(1)
    bench.settle(3)
    assert len(bench.compute.alive()) == 2
    waiting = bench.job("job-2")
    assert waiting["SecondaryStatus"] == "Pending"
    assert waiting["SecondaryStatusTransitions"][-1]["StatusMessage"] == (
        "Waiting for a free job slot: 2 of 2 are in use"
    )
    behind = bench.job("job-3")["SecondaryStatusTransitions"][-1]
    assert behind["StatusMessage"] == "Waiting for 1 training job(s) that came first"
    first = next(each for each in bench.compute.alive() if each.startswith("job-0"))
    bench.compute.exit(first)
    bench.settle(3)
    alive = sorted(each[:5] for each in bench.compute.alive())
    assert alive == ["job-1", "job-2"]
    assert bench.job("job-3")["SecondaryStatus"] == "Pending"
    assert [entry["Status"] for entry in bench.job("job-2")["SecondaryStatusTransitions"]] == ["Starting", "Pending"]


def test_a_job_behind_others_is_born_waiting(bench: Bench) -> None:
    """Nothing has to be decided about it, so the scheduler has nothing to write."""
    for n in range(3):
        bench.train(f"job-{n}")
        bench.clock.advance(1)
    bench.settle(2)
    bench.train("late", StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxPendingTimeInSeconds": 1800})
    late = bench.record(f"{ARN}:training-job/late")
    assert late is not None and late.version == 1 and late.until == late.created + 1800
    job = bench.job("late")
    assert (job["SecondaryStatus"], statuses(job)) == ("Pending", ["Starting", "Pending"])
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Waiting for 1 training job(s) that came first"
    (listed,) = bench.call("ListTrainingJobs", NameContains="late")["TrainingJobSummaries"]
    assert listed["SecondaryStatus"] == "Pending"
    bench.settle(2)
    assert bench.record(f"{ARN}:training-job/late") == late
    for _ in range(3):
        for alive in bench.compute.alive():
            bench.compute.exit(alive)
        bench.settle(3)
    assert bench.job("late")["SecondaryStatus"] == "Completed"


def test_a_job_whose_image_is_not_there_waits_for_that_first(bench: Bench) -> None:
    for n in range(3):
        bench.train(f"job-{n}")
    bench.settle(2)
    object.__setattr__(bench.platform, "images", FakeImages(ready=False))
    bench.clock.advance(1)
    bench.train("late")
    assert bench.job("late")["SecondaryStatus"] == "Starting"
    bench.settle(3)
    assert bench.job("late")["SecondaryStatus"] == "Pending"


def test_an_image_that_has_gone_while_its_job_waited_fails_the_job(bench: Bench) -> None:
    def gone() -> None:
        raise ImageBuildFailed("The container engine has no image any more.")

    for n in range(3):
        bench.train(f"job-{n}")
        bench.clock.advance(1)
    bench.settle(3)
    assert bench.job("job-2")["SecondaryStatus"] == "Pending"
    object.__setattr__(bench.platform, "images", FakeImages(ready=False, building=gone))
    bench.compute.exit(next(each for each in bench.compute.alive() if each.startswith("job-0")))
    bench.settle(3)
    assert bench.job("job-2")["FailureReason"] == "ClientError: The container engine has no image any more."
    assert [each[:5] for each in bench.compute.alive()] == ["job-1"]


def test_pending_too_long_stops(bench: Bench) -> None:
    for n in range(2):
        bench.train(f"job-{n}")
    bench.clock.advance(1)
    bench.train("late", StoppingCondition={"MaxPendingTimeInSeconds": 1800})
    bench.settle(2)
    bench.clock.advance(1801)
    bench.settle(3)
    late = bench.job("late")
    assert (late["TrainingJobStatus"], statuses(late)) == ("Stopped", ["Starting", "Pending", "Stopping", "Stopped"])


def test_the_image_is_built_before_a_slot_is_taken(bench: Bench) -> None:
    said: list[str] = []
    images = FakeImages(
        ready=False,
        building=lambda: said.append(bench.job("job")["SecondaryStatusTransitions"][-1]["StatusMessage"]),
    )
    object.__setattr__(bench.platform, "images", images)
    bench.train("job")
    bench.settle(3)
    assert said == ["Downloading the training image"]
    assert images.prepared == 1 and len(bench.compute.alive()) == 1


def test_an_image_that_cannot_be_built_fails_the_job(bench: Bench) -> None:
    def broken() -> None:
        raise ImageBuildFailed("No package source can be reached.")

    object.__setattr__(bench.platform, "images", FakeImages(ready=False, building=broken))
    bench.train("job")
    bench.settle()
    assert bench.job("job")["FailureReason"] == "ClientError: No package source can be reached."
    assert bench.compute.specs == []


def test_delete_only_when_over_and_the_name_is_free_again(bench: Bench) -> None:
    bench.train("job")
    with pytest.raises(ServiceError) as refused:
        bench.call("DeleteTrainingJob", TrainingJobName="job")
    assert refused.value.code == "ResourceInUse"
    bench.call("StopTrainingJob", TrainingJobName="job")
    bench.call("DeleteTrainingJob", TrainingJobName="job")
    with pytest.raises(ServiceError, match="Requested resource not found"):
        bench.job("job")
    bench.train("job")


def test_phases_told_again_change_nothing(bench: Bench) -> None:
    bench.train("job")
    bench.settle(3)
    instance = only_instance(bench)
    bench.compute.phase(instance, "Downloading", "Downloading input data")
    bench.compute.phase(instance, "Training")
    bench.step()
    before = bench.record(f"{ARN}:training-job/job")
    bench.step()
    assert bench.record(f"{ARN}:training-job/job") == before
    assert isinstance(bench.compute.observe(instance), Observation)
    assert IMAGE in str(before)
