"""A control plane on a bench: real stores in a folder, FakeCompute, and the real operations called as the pipeline
calls them. Requests are given as botocore would give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.clock import Clock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.objects.filesystem import FilesystemStore
from clary.scheduler.outcomes import Outcome
from clary.scheduler.signal import Signal
from clary.secrets import RootKey
from clary.services.iam import first_start
from clary.services.operation import Call
from clary.services.sagemaker import OPERATIONS, RECONCILERS
from clary.store import queues, records
from clary.store.engine import Database
from clary.store.records import Record
from clary.store.schema import LOGS, OBJECTS, RECORDS
from clary.testing.fake_compute import FakeCompute
from clary.testing.fake_images import FakeImages
from clary.testing.frozen_clock import FrozenClock
from clary.wire.messages import BytesBody, Headers, Request
from databases import open_database

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonSageMaker-ExecutionRole-Clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


class Bench:
    """`platform` is real but for the compute and the clock, which tests move."""

    def __init__(
        self,
        folder: Path,
        *,
        job_slots: int = 2,
        compute: FakeCompute | None = None,
        images: FakeImages | None = None,
        clock: Clock | None = None,
        database: Callable[[Database], Database] = lambda database: database,
        database_url: str = "",
    ) -> None:
        self.clock = clock or FrozenClock()
        self.compute = compute or FakeCompute()
        self.compute.now = self.clock.now
        self.images = images or FakeImages()
        self.signal = Signal()
        self.compute.changed = self.signal
        folder.mkdir(parents=True, exist_ok=True)
        self.records, *others = [open_database(database_url, folder, tables) for tables in (RECORDS, OBJECTS, LOGS)]
        self.platform = Platform(
            Settings(home=folder, job_slots=job_slots),
            self.clock,
            Stores(database(self.records), *others),
            FilesystemStore(folder / "objects"),
            self.images,
            self.compute,
            self.signal,
            RootKey(bytes(32)),
        )
        self._databases = [self.records, *others]
        if self.records.read(lambda connection: records.by_arn(connection, ROLE)) is None:
            role = first_start.execution_role(ACCOUNT, 0.0)
            self.records.write(lambda connection: records.insert(connection, role))

    def close(self) -> None:
        for database in self._databases:
            database.close()

    def call(self, operation: str, account: str = ACCOUNT, region: str = REGION, **given: Any) -> dict[str, Any]:
        handler = OPERATIONS.find(operation)
        assert handler is not None, operation
        principal = Principal("root", account, f"arn:aws:iam::{account}:root", account)
        request = Request("POST", "/", Headers())
        body, who = BytesBody(), Caller(principal)
        call = Call(self.platform, principal, "sagemaker", operation, account, region, "r-1", request, body, who)
        return handler(call, given)

    def record(self, arn: str) -> Record | None:
        return self.records.read(lambda connection: records.by_arn(connection, arn))

    def active(self) -> list[Record]:
        """What is not at rest: for each kind that which is in no queue, then the queue."""

        def read(connection: Connection) -> list[Record]:
            found: list[Record] = []
            for kind, reconciler in RECONCILERS.items():
                for queue in sorted({"", reconciler.queue}):
                    found += queues.members(connection, kind, reconciler.statuses, queue)
            return found

        return self.records.read(read)

    def step(self) -> list[Outcome]:
        """Reconciles every record that is not at rest once, in the order of the loop's kinds."""
        return [RECONCILERS[record.kind].reconcile(self.platform, record) for record in self.active()]

    def settle(self, steps: int = 12) -> None:
        for _ in range(steps):
            if not self.step():
                return

    # -- requests in their smallest useful form --

    def train(self, name: str, **changes: Any) -> dict[str, Any]:
        return self.call("CreateTrainingJob", **training_job(name, **changes))

    def job(self, name: str) -> dict[str, Any]:
        return self.call("DescribeTrainingJob", TrainingJobName=name)

    def model(self, name: str = "m") -> None:
        self.call("CreateModel", **model(name))

    def config(self, name: str = "c", model_name: str = "m", count: int = 1, **changes: Any) -> None:
        self.call("CreateEndpointConfig", **endpoint_config(name, model_name, count, **changes))

    def endpoint(self, name: str = "e") -> dict[str, Any]:
        return self.call("DescribeEndpoint", EndpointName=name)


def training_job(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": "5", "objective": "binary:logistic"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changes,
    }


def model(name: str) -> dict[str, Any]:
    return {
        "ModelName": name,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": f"s3://b/{name}/model.tar.gz", "Environment": {"A": "1"}},
        "ExecutionRoleArn": ROLE,
    }


def endpoint_config(name: str, model_name: str = "m", count: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": model_name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": count,
                "InitialVariantWeight": 1.0,
                **changes,
            }
        ],
    }
