"""What a refused call says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(work: Callable[..., Any], **given: Any) -> tuple[str, str, int]:
    """(code, message, HTTP status) of a call that has to be refused."""
    with pytest.raises(ClientError) as caught:
        work(**given)
    error, meta = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    return error["Code"], error["Message"], meta["HTTPStatusCode"]
