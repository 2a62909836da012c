"""Jobs on encrypted data, with outputs under a KMS key: what their role may decides."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from api.access.people import allow, refusal, role, unique
from flows import jobs
from flows.programs import points
from whole_server import WholeServer, wait_until

S3 = allow("s3:ListBucket", "s3:GetObject", "s3:PutObject")
NOBODYS = "arn:aws:kms:us-east-1:999999999999:key/12345678-1234-1234-1234-123456789012"


class Key:
    """A KMS key, and its alias."""

    def __init__(self, server: WholeServer) -> None:
        self.kms = server.client("kms")
        self.arn: str = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.alias = f"alias/{unique('key')}"
        self.kms.create_alias(AliasName=self.alias, TargetKeyId=self.arn)


@pytest.fixture(scope="module")
def data(server: WholeServer) -> Key:
    return Key(server)


@pytest.fixture(scope="module")
def output(server: WholeServer) -> Key:
    return Key(server)


def failure(server: WholeServer, job: str) -> str:
    ended = jobs.ended(server, job)
    assert ended["TrainingJobStatus"] == "Failed"
    reason: str = ended["FailureReason"]
    return reason


def test_from_encrypted_data_to_an_endpoint(server: WholeServer, data: Key, output: Key) -> None:
    reading, writing = allow("kms:Decrypt", on=data.arn), allow("kms:GenerateDataKey", on=output.arn)
    name = jobs.start(server, role=role(server, S3, reading, writing), data_key=data.arn, output_key=output.alias)
    ended = jobs.ended(server, name)
    assert (ended["TrainingJobStatus"], ended["OutputDataConfig"]["KmsKeyId"]) == ("Completed", output.alias)
    key = ended["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{name}/")
    model = server.client("s3").get_object(Bucket=name, Key=key)
    assert (model["ServerSideEncryption"], model["SSEKMSKeyId"]) == ("aws:kms", output.arn)
    with tarfile.open(fileobj=io.BytesIO(model["Body"].read())) as archive:
        assert archive.getnames()
    with_key, without = role(server, S3, allow("kms:Decrypt", on=output.arn)), role(server, S3)
    endpoint = jobs.deploy(server, name, with_key)
    row = points.csv(points.table(1, seed=2), label=False).encode()
    told = server.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=row)
    assert 0 <= float(told["Body"].read()) <= 1
    assert "kms:Decrypt" in refused_endpoint(server, name, without)


def refused_endpoint(server: WholeServer, job: str, role: str) -> str:
    """Why an endpoint of the job's model does not come up with that role."""
    sagemaker, name = server.client("sagemaker"), unique("endpoint")
    container = sagemaker.describe_model(ModelName=job)["PrimaryContainer"]
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Failed", 60)
    reason: str = sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    return reason


def test_a_role_that_may_not_decrypt(server: WholeServer, data: Key) -> None:
    reason = failure(server, jobs.start(server, role=role(server, S3), data_key=data.arn))
    assert reason.startswith("ClientError: Data download failed:AccessDenied")
    assert f"is not authorized to perform: kms:Decrypt on resource: {data.arn}" in reason


def test_a_role_that_may_not_encrypt(server: WholeServer, output: Key) -> None:
    reason = failure(server, jobs.start(server, role=role(server, S3), output_key=output.arn))
    assert reason.startswith("ClientError: Artifact upload failed:AccessDenied")
    assert f"is not authorized to perform: kms:GenerateDataKey on resource: {output.arn}" in reason


def test_a_key_of_another_account(server: WholeServer) -> None:
    """Nothing is told of it when the job is created; its role is refused in the end."""
    reason = failure(server, jobs.start(server, role=role(server, S3, allow("kms:*")), output_key=NOBODYS))
    assert reason.startswith("ClientError: Artifact upload failed:AccessDenied")


def test_keys_that_no_job_can_be_created_with(server: WholeServer) -> None:
    key = Key(server)
    key.kms.disable_key(KeyId=key.arn)
    of_macs = key.kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    for name, why in (
        ("alias/nobody", "NotFoundException"),
        ("12345678-1234-1234-1234-123456789012", "NotFoundException"),
        (key.arn.replace("us-east-1", "eu-west-1"), "NotFoundException"),
        (of_macs, "InvalidKeyUsageException"),
        (key.alias, "DisabledException"),
    ):
        code, status, told = refusal(jobs.start, server=server, output_key=name)
        assert (code, status) == ("ValidationException", 400)
        assert "outputDataConfig.kmsKeyId" in told and why in told


def test_volumes_cannot_be_encrypted(server: WholeServer, output: Key) -> None:
    sagemaker, name = server.client("sagemaker"), unique("job")
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    job: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": jobs.ROLE,
        "AlgorithmSpecification": {"TrainingImage": jobs.IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://somewhere/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "VolumeKmsKeyId": output.arn},
        "StoppingCondition": {},
    }
    config = {"EndpointConfigName": name, "ProductionVariants": [variant], "KmsKeyId": output.arn}
    for work, given in ((sagemaker.create_training_job, job), (sagemaker.create_endpoint_config, config)):
        code, _, told = refusal(work, **given)
        assert code == "ValidationException"
        assert "KmsKeyId cannot be honoured" in told and "encrypt the file system" in told
