"""The errors of InvokeEndpoint, with AWS's codes and wording, and their form on the wire (rest-json)."""

from __future__ import annotations

import json
from urllib.parse import quote

from clary.errors import ServiceError
from clary.serving.request_ids import request_id

_LONGEST_MESSAGE = 1024  # characters of a container's answer that are repeated to the client


def endpoint_not_found(name: str, account: str) -> ServiceError:
    return ServiceError("ValidationError", f"Endpoint {name} of account {account} not found.")


def bad_endpoint_name(name: str) -> ServiceError:
    rule = "satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
    if len(name) > 63:
        rule = "have length less than or equal to 63"
    detected = f"1 validation error detected: Value '{name}' at 'endpointName'"
    return ServiceError("ValidationError", f"{detected} failed to satisfy constraint: Member must {rule}")


def denied(message: str) -> ServiceError:
    return ServiceError("AccessDeniedException", message, 400)


def variant_not_found(variant: str, endpoint: str, account: str) -> ServiceError:
    message = f"Variant {variant} of endpoint {endpoint} of account {account} not found."
    return ServiceError("ValidationError", message)


def not_built(header: str) -> ServiceError:
    message = (
        f"InvokeEndpoint: {header} is not built in Clary yet. Leave it out, or see docs/reference/compatibility.md."
    )
    return ServiceError("ValidationError", message)


def too_large(limit: int) -> ServiceError:
    message = (
        "1 validation error detected: Value at 'body' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit}"
    )
    return ServiceError("RequestEntityTooLarge", message, 413)


def unavailable(message: str) -> ServiceError:
    return ServiceError("ServiceUnavailable", message, 503)


def throttled() -> ServiceError:
    return ServiceError("ThrottlingException", "Rate exceeded", 400)


def model_not_ready() -> ServiceError:
    message = "The model is not ready to serve the inference request. Try again later."
    return ServiceError("ModelNotReadyException", message, 429)


def timed_out(region: str, account: str, endpoint: str) -> ServiceError:
    said = (
        "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
        "each container in Amazon CloudWatch, resolve the issue, and try again."
    )
    return model_error(0, said, region, account, endpoint)


def broke_off(region: str, account: str, endpoint: str) -> ServiceError:
    said = "The container closed the connection before it answered."
    return model_error(0, said, region, account, endpoint)


def oversized_answer(limit: int, region: str, account: str, endpoint: str) -> ServiceError:
    return model_error(0, f"The response is longer than {limit} bytes.", region, account, endpoint)


def model_error(status: int, said: str, region: str, account: str, endpoint: str) -> ServiceError:
    """The container answered `status` (0: nothing usable) and `said`."""
    side = "client" if 400 <= status < 500 else "server"
    said = said[:_LONGEST_MESSAGE]
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    page = (
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={quote(group)}"
    )
    message = (
        f'Received {side} error ({status}) from primary with message "{said}". '
        f"See {page} in account {account} for more information."
    )
    members = {
        "OriginalStatusCode": status,
        "OriginalMessage": said,
        "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{group}",
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "INTERNAL_FAILURE_FROM_MODEL",
    }
    return ServiceError("ModelError", message, 424, members)


def render(error: ServiceError) -> tuple[bytes, bytes]:
    """(header lines, body) of an error."""
    body = json.dumps({"Message": error.message, "message": error.message, **error.members}).encode()
    lines = f"x-amzn-RequestId: {request_id()}\r\nx-amzn-ErrorType: {error.code}\r\nContent-Type: application/json\r\n"
    return lines.encode("latin-1"), body
