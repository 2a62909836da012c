"""S3 Control: what is set for all buckets of an account."""

from clary.services.operation import Operations
from clary.services.s3control import account_blocks

OPERATIONS = Operations()
OPERATIONS.include(account_blocks.operations)

__all__ = ["OPERATIONS"]
