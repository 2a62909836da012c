"""What users get wrong: AWS's error at once, or a failed job or endpoint whose reason says what to change."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from . import work
from .machine import Machine

ROLE_BASE = "arn:aws:iam::123456789012:role/"
REPOSITORY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


def put(machine: Machine, key: str, body: bytes) -> str:
    """The object's URI."""
    machine.aws("s3").put_object(Bucket=work.BUCKET, Key=key, Body=body)
    return f"s3://{work.BUCKET}/{key}"


def reason(machine: Machine, name: str, **changes: Any) -> str:
    """Why a job failed."""
    work.train(machine, name, **changes)
    described = work.ended(machine, name)
    assert described["TrainingJobStatus"] == "Failed"
    assert "ModelArtifacts" not in described or not described["ModelArtifacts"]
    last = described["SecondaryStatusTransitions"][-1]
    assert (last["Status"], last["StatusMessage"]) == ("Failed", described["FailureReason"])
    return str(described["FailureReason"])


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("word", b"1,2,3\n0,x,5\n", "rows.csv, line 2, column 2: 'x' is not a number"),
        pytest.param("header", b"label,a,b\n1,2,3\n", "CSV data must have no header line", marks=pytest.mark.slow),
        pytest.param("ragged", b"1,2,3\n0,2\n", "rows.csv, line 2 has 2 columns", marks=pytest.mark.slow),
        pytest.param("binary", b"\xff\xfe1,2\n", "rows.csv is not UTF-8 text", marks=pytest.mark.slow),
        pytest.param("one-column", b"1\n0\n", "has 1 column(s)", marks=pytest.mark.slow),
        pytest.param("label", b"7,1,2\n0,1,2\n", "label must be in [0,1]", marks=pytest.mark.slow),
        pytest.param("empty-file", b"", "No data in training channel path", marks=pytest.mark.slow),
    ],
)
def test_unreadable_data(machine: Machine, name: str, data: bytes, expected: str) -> None:
    uri = put(machine, f"bad/{name}/rows.csv", data)
    text = reason(machine, name, InputDataConfig=[work.channel("train", uri)])
    assert text.startswith("ClientError: ") and expected in text, text
    assert text.endswith("exit code: 2")


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("no-train", {"InputDataConfig": [work.channel("validation")]}, "Missing required channel: train"),
        ("extra", {"InputDataConfig": [work.channel("train"), work.channel("more")]}, "Extraneous channel found: more"),
        ("unknown", {"hyperparameters": {"depth": "3"}}, "depth"),
        ("range", {"hyperparameters": {"eta": "7"}}, "eta"),
        ("number", {"hyperparameters": {"max_depth": "deep"}}, "max_depth"),
        ("objective", {"hyperparameters": {"objective": "binary:guess"}}, "objective"),
        ("type", {"InputDataConfig": [work.channel("train", content_type="image/png")]}, "image/png"),
    ],
)
def test_unfit_requests(machine: Machine, name: str, changes: dict[str, Any], expected: str) -> None:
    text = reason(machine, name, **changes)
    assert text.startswith("ClientError: ") and expected in text, text


@pytest.mark.parametrize(
    ("name", "uri", "expected"),
    [
        ("empty-prefix", f"s3://{work.BUCKET}/nothing/", "No objects found with S3 prefix s3://faults/nothing/"),
        ("no-bucket", "s3://there-is-no-such-bucket/x", "NoSuchBucket"),
    ],
)
def test_absent_inputs(machine: Machine, name: str, uri: str, expected: str) -> None:
    text = reason(machine, name, InputDataConfig=[work.channel("train", uri)])
    assert text.startswith("ClientError: Data download failed:") and expected in text, text


def test_absent_output_bucket(machine: Machine) -> None:
    output = {"S3OutputPath": "s3://there-is-no-such-bucket/out"}
    text = reason(machine, "no-output", OutputDataConfig=output)
    assert text.startswith("ClientError: Artifact upload failed:NoSuchBucket"), text


def refused(machine: Machine, name: str, **changes: Any) -> str:
    with pytest.raises(ClientError) as caught:
        work.train(machine, name, **changes)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = caught.value.response["Error"]
    with pytest.raises(ClientError, match="Requested resource not found"):
        work.job(machine, name)
    return f"{error['Code']}: {error['Message']}"


def specification(image: str) -> dict[str, Any]:
    return {"AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"RoleArn": ROLE_BASE + "nobody"}, "Could not assume role arn:aws:iam::123456789012:role/nobody"),
        (specification(f"{REPOSITORY}/my-own:1"), "not known to Clary"),
        (specification(f"{REPOSITORY}/kmeans:1"), "a built-in algorithm that is not built yet"),
        (specification(f"{REPOSITORY}/sagemaker-xgboost:9.9-9"), "has no tag '9.9-9'"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}}, "InstanceCount"),
        ({"InputDataConfig": [work.channel("train"), work.channel("train")]}, "Channel names must be unique"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 29 * 86_400}}, "MaxRuntimeInSeconds"),
    ],
)
def test_refused_at_once(machine: Machine, changes: dict[str, Any], expected: str) -> None:
    text = refused(machine, "refused", **changes)
    assert text.startswith("ValidationException: ") and expected in text, text


def test_names_are_taken_once(machine: Machine) -> None:
    work.train(machine, "taken")
    with pytest.raises(ClientError, match="must be unique") as caught:
        work.train(machine, "taken")
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    work.ended(machine, "taken")
    with pytest.raises(ClientError, match="in status Completed"):
        machine.aws("sagemaker").stop_training_job(TrainingJobName="taken")


def test_stopped_midway(machine: Machine) -> None:
    work.train(machine, "stopped", 1_000_000)
    work.reached(machine, "stopped", "Training")
    machine.aws("sagemaker").stop_training_job(TrainingJobName="stopped")
    described = work.ended(machine, "stopped")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Stopped"
    assert [entry["Status"] for entry in described["SecondaryStatusTransitions"]][-2:] in (
        ["Stopping", "Stopped"],
        ["Uploading", "Stopped"],
    )
    assert "FailureReason" not in described and not described.get("ModelArtifacts")


def test_stopped_midway_with_a_partial_model(machine: Machine) -> None:
    keep = {"save_model_on_termination": "true"}
    work.train(machine, "kept", 1_000_000, hyperparameters=keep)
    work.reached(machine, "kept", "Training")
    machine.aws("sagemaker").stop_training_job(TrainingJobName="kept")
    described = work.ended(machine, "kept")
    assert described["TrainingJobStatus"] == "Stopped"
    assert work.model_files(machine, described["ModelArtifacts"]["S3ModelArtifacts"]) == ["xgboost-model"]


def test_out_of_time(machine: Machine) -> None:
    limit = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    work.train(machine, "long", 1_000_000, hyperparameters={"save_model_on_termination": "true"}, **limit)
    described = work.ended(machine, "long")
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert work.model_files(machine, described["ModelArtifacts"]["S3ModelArtifacts"]) == ["xgboost-model"]
    assert described["TrainingTimeInSeconds"] >= 1


@pytest.fixture(scope="module")
def model(machine: Machine) -> str:
    """The URI of a trained model."""
    work.train(machine, "good")
    return str(work.ended(machine, "good")["ModelArtifacts"]["S3ModelArtifacts"])


def climbing() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("../../escaped")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("no-tar", b"this is no archive", "Failed to extract model data archive"),
        ("climbs", climbing(), "Failed to extract model data archive"),
        ("no-model", work.archive({}), "did not pass the ping health check"),
        ("nonsense", work.archive({"xgboost-model": b"nonsense"}), "did not pass the ping health check"),
        ("absent", None, "NoSuchKey"),
    ],
    ids=["no-tar", "climbs", "no-model", "nonsense", "absent"],  # archives hold the time: two workers would differ
)
def test_unfit_models(machine: Machine, name: str, content: bytes | None, expected: str) -> None:
    uri = f"s3://{work.BUCKET}/models/{name}.tar.gz"
    if content is not None:
        put(machine, f"models/{name}.tar.gz", content)
    work.serve(machine, name, uri)
    described = work.settled(machine, name)
    assert described["EndpointStatus"] == "Failed"
    assert expected in described["FailureReason"], described["FailureReason"]
    with pytest.raises(ClientError, match="not found"):
        work.invoke(machine, name)


def test_unfit_invocations(machine: Machine, model: str) -> None:
    work.serve(machine, "e", model)
    assert work.settled(machine, "e")["EndpointStatus"] == "InService"
    cases = [
        ("text/csv", b"1,2,3,4,5", "ModelError", "Feature size"),
        ("text/csv", b"one,two", "ModelError", ""),
        ("image/png", b"x", "ModelError", "image/png"),
    ]
    runtime = machine.aws("sagemaker-runtime")
    for content_type, body, code, words in cases:
        with pytest.raises(ClientError) as caught:
            runtime.invoke_endpoint(EndpointName="e", ContentType=content_type, Body=body)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["OriginalStatusCode"] in (400, 415)
        assert words in str(caught.value), caught.value
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName="e", ContentType="text/csv", Body=b"1," * 13_200_000)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert work.invoke(machine, "e")


def test_absent_parts_of_an_endpoint(machine: Machine) -> None:
    sagemaker = machine.aws("sagemaker")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.create_endpoint(EndpointName="none", EndpointConfigName="none")
    variant = {"VariantName": "v", "ModelName": "none", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.create_endpoint_config(EndpointConfigName="none", ProductionVariants=[variant])
    with pytest.raises(ClientError, match="not found"):
        work.invoke(machine, "none")
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.delete_endpoint(EndpointName="none")
