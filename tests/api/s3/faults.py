"""How the tests look at S3's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, status: int) -> Iterator[pytest.ExceptionInfo[ClientError]]:
    """The block ends with that error of S3."""
    with pytest.raises(ClientError) as caught:
        yield caught
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
