"""What S3 answers an agent that it will not have."""

from __future__ import annotations


class S3Error(Exception):
    """S3 refused. `code` is its error code ("NoSuchBucket", "AccessDenied", "SlowDown", ...)."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.status = status
