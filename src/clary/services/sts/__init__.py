"""AWS Security Token Service: who am I, and sessions."""

from clary.services.operation import Operations
from clary.services.sts import assuming, decoding, identity, saml, tokens, web_identity

OPERATIONS = Operations()
for _part in (identity, assuming, web_identity, saml, tokens, decoding):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS"]
