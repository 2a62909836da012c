"""What a client is told when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    """(code, message) of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def code(call: Callable[..., Any], **given: Any) -> str:
    return refusal(call, **given)[0]
