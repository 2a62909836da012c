"""EndpointConfig: immutable, without status; nearly only a declaration."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import option_not_built, validation
from clary.services import resources
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.services.resources import Resource
from clary.services.sagemaker import checks
from clary.services.sagemaker.model import MODEL

ENDPOINT_CONFIG = Resource(
    kind="endpoint-config",
    noun="EndpointConfig",
    plural="EndpointConfigs",
    listing="EndpointConfigs",
    summary=("EndpointConfigName", "EndpointConfigArn", "CreationTime"),
    missing='Could not find endpoint configuration "{arn}".',
    taken='Cannot create already existing endpoint configuration "{arn}".',
)

# VolumeSizeInGB is a label: the disk is the machine's. Requests go to the instance with the fewest outstanding ones.
_NOT_BUILT = (
    "DataCaptureConfig.EnableCapture",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ShadowProductionVariants",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "MetricsConfig",
    "CrossRegionTrafficConfig",
    "ProductionVariants[].ServerlessConfig",
    "ProductionVariants[].InstancePools",
    "ProductionVariants[].VariantInstanceProvisionTimeoutInSeconds",
    "ProductionVariants[].AcceleratorType",
    "ProductionVariants[].CoreDumpConfig",
    "ProductionVariants[].ModelDataDownloadTimeoutInSeconds",
    "ProductionVariants[].EnableSSMAccess",
    "ProductionVariants[].ManagedInstanceScaling",
    "ProductionVariants[].InferenceAmiVersion",
    "ProductionVariants[].CapacityReservationConfig",
    "ProductionVariants[].AcceleratorPartitionLayouts",
    "ProductionVariants[].RoutingConfig.PrefixAwareRoutingConfig",
)

OPERATIONS = Operations()
resources.serve(OPERATIONS, ENDPOINT_CONFIG, "Describe", "List", "Delete")


@OPERATIONS.handles("CreateEndpointConfig")
def create_endpoint_config(call: Call, given: Document) -> Document:
    refuse(call.operation, given, _NOT_BUILT)
    if given.get("KmsKeyId"):
        raise checks.no_volume_key("CreateEndpointConfig", "KmsKeyId")
    variants = [_variant(call, each) for each in given["ProductionVariants"]]
    names = [each["VariantName"] for each in variants]
    if len(set(names)) != len(names):
        raise validation("VariantName must be unique within ProductionVariants.")

    def models_exist(connection: Connection) -> None:
        for each in variants:
            resources.require(connection, MODEL, call, each["ModelName"])

    document = {"EnableNetworkIsolation": False, **given, "ProductionVariants": variants}
    return resources.create(ENDPOINT_CONFIG, call, document, check=models_exist)


def _variant(call: Call, given: Document) -> Document:
    name = given["VariantName"]
    if not given.get("ModelName"):
        raise option_not_built(call.operation, "ProductionVariants without ModelName (inference components)")
    for member in ("InstanceType", "InitialInstanceCount"):
        if not given.get(member):
            raise validation(f"{member} must be given for production variant {name}.")
    checks.instance_type(given["InstanceType"])
    strategy = given.get("RoutingConfig", {}).get("RoutingStrategy", "LEAST_OUTSTANDING_REQUESTS")
    if strategy != "LEAST_OUTSTANDING_REQUESTS":
        raise option_not_built(call.operation, f"RoutingStrategy {strategy}")
    return {"InitialVariantWeight": 1.0, **given}
