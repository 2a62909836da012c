"""AWS Security Token Service: who am I, and sessions."""

from clary.services.operation import Operations
from clary.services.sts.identity import operations as _identity
from clary.services.sts.tokens import operations as _tokens

OPERATIONS = Operations()
OPERATIONS.include(_identity)
OPERATIONS.include(_tokens)

__all__ = ["OPERATIONS"]
