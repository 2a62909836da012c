"""Model: immutable, without status; nearly only a declaration."""

from __future__ import annotations

from clary.errors import option_not_built, validation
from clary.services import resources
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.services.resources import Resource
from clary.services.sagemaker import checks, launches

MODEL = Resource(
    kind="model",
    noun="Model",
    plural="Models",
    listing="Models",
    summary=("ModelName", "ModelArn", "CreationTime"),
    missing='Could not find model "{arn}".',
    taken='Cannot create already existing model "{arn}".',
)

_NOT_BUILT = ("InferenceExecutionConfig", "VpcConfig")
_NOT_BUILT_IN_CONTAINER = (
    "ContainerHostname",
    "ImageConfig",
    "ModelDataSource",
    "AdditionalModelDataSources",
    "ModelPackageName",
    "InferenceSpecificationName",
    "MultiModelConfig",
    "ContainerMetricsConfig",
)

OPERATIONS = Operations()
resources.serve(OPERATIONS, MODEL, "Describe", "List", "Delete")


@OPERATIONS.handles("CreateModel")
def create_model(call: Call, given: Document) -> Document:
    refuse(call.operation, given, _NOT_BUILT)
    _check_container(call, container(given))
    if not given.get("ExecutionRoleArn"):
        raise validation("ExecutionRoleArn is required: model data is fetched with that role.")
    document = {"EnableNetworkIsolation": False, **given}
    return resources.create(
        MODEL, call, document, check=checks.role(call, MODEL, given["ExecutionRoleArn"], given["ModelName"])
    )


def container(model: Document) -> Document:
    """The one container of a model's request or document."""
    containers: list[Document] = model.get("Containers") or []
    primary: Document | None = model.get("PrimaryContainer")
    if (primary is None) == (not containers):
        raise validation("Exactly one of PrimaryContainer and Containers must be given.")
    if len(containers) > 1:
        raise option_not_built("CreateModel", "Containers with more than one container (an inference pipeline)")
    return primary or containers[0]


def _check_container(call: Call, given: Document) -> None:
    refuse(call.operation, given, _NOT_BUILT_IN_CONTAINER)
    checks.environment(given.get("Environment"))
    if given.get("Mode", "SingleModel") != "SingleModel":
        raise option_not_built(call.operation, f"Mode {given['Mode']}")
    if not given.get("Image"):
        raise validation("Image must be given for the container.")
    image = launches.image(call.platform.images, call.account, given["Image"], given.get("Environment", {}))
    if not given.get("ModelDataUrl"):
        if image.kind in ("folder", "container"):  # it may have its model in itself
            return
        raise validation("ModelDataUrl must be given: the archive of a trained model.")
    if not checks.s3_uri(given["ModelDataUrl"], "modelDataUrl").endswith(".tar.gz"):
        raise validation(f"ModelDataUrl must be the S3 URI of one .tar.gz file, not {given['ModelDataUrl']}.")
