"""TrainingJob as a resource: names, errors, statuses, what a request must not ask for yet."""

from __future__ import annotations

from typing import Any

from clary.services.resources import Resource
from clary.services.sagemaker.training_job import metrics

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
ACTIVE = ("InProgress", "Stopping")

TRAINING_JOB = Resource(
    kind="training-job",
    noun="TrainingJob",
    plural="TrainingJobs",
    listing="TrainingJobSummaries",
    summary=(
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    ),
    missing="Requested resource not found.",
    taken="Training job names must be unique within an AWS account and region, and a training job with this name "
    "already exists ({arn})",
    taken_code="ResourceInUse",
    edges={
        "InProgress": frozenset({"Completed", "Failed", "Stopping"}),
        "Stopping": frozenset({"Stopped"}),
    },
    shows_modified=True,
    descending=False,
    view=metrics.view,
    written=metrics.written,
)

# Refused by name while not built. Not in this list, because they change nothing for what runs here:
# - DebugHookConfig without collections or parameters: SDK v2 sends it with every job. AWS mounts a configuration file
#   that only images with its debugger hook read; the built-in algorithms' code has no hook.
# - ProfilerConfig without ProfilingParameters: SDK v2 sends it with every job. It asks for AWS's own sampling of the
#   host, which no training sees; Describe answers ProfilingStatus Disabled.
# - EnableSageMakerMetricsTimeSeries: SDK v2's classes for PyTorch, TensorFlow and Hugging Face send it with every job.
#   It asks for a series that BatchGetMetrics reads, which answers 501; FinalMetricDataList has last values either way.
# - EnableInterContainerTrafficEncryption: all instances of a job are on one machine, its traffic never meets a wire.
# - VolumeSizeInGB: the disk is the machine's; only what is uploaded of it is bounded.
NOT_BUILT = (
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "DebugRuleConfigurations",
    "DebugHookConfig.CollectionConfigurations",
    "DebugHookConfig.HookParameters",
    "ProfilerRuleConfigurations",
    "ProfilerConfig.ProfilingParameters",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "VpcConfig",
    "RemoteDebugConfig.EnableRemoteDebug",
    "InfraCheckConfig.EnableInfraCheck",
    "SessionChainingConfig.EnableSessionTagChaining",
    "ServerlessJobConfig",
    "MlflowConfig",
    "ModelPackageConfig",
    "AlgorithmSpecification.AlgorithmName",
    "AlgorithmSpecification.TrainingImageConfig",
    "InputDataConfig[].DataSource.FileSystemDataSource",
    "InputDataConfig[].DataSource.DatasetSource",
    "InputDataConfig[].DataSource.S3DataSource.AttributeNames",
    "InputDataConfig[].DataSource.S3DataSource.ModelAccessConfig",
    "InputDataConfig[].DataSource.S3DataSource.HubAccessConfig",
    "ResourceConfig.KeepAlivePeriodInSeconds",
    "ResourceConfig.TrainingPlanArn",
    "ResourceConfig.InstancePlacementConfig",
    "ResourceConfig.InstancePreferences",
    "ResourceConfig.SelectedInstanceType",
    "ResourceConfig.SelectedInstanceCount",
)

# What Describe shows of a request that leaves these out.
DEFAULTS: dict[str, Any] = {
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
    "ProfilingStatus": "Disabled",
}
DEFAULT_CHANNEL = {"CompressionType": "None", "RecordWrapperType": "None"}
DEFAULT_MAX_RUNTIME = 86_400
LONGEST_RUNTIME = 28 * 86_400
