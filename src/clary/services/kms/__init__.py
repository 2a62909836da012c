"""AWS Key Management Service: keys that never leave, and what they encrypt, sign and authenticate."""

from clary.services.kms import (
    aliases,
    creation,
    data_keys,
    encryption,
    grants,
    imports,
    lifecycle,
    macs,
    policies,
    regions,
    rotation,
    signing,
    tags,
    usage,
)
from clary.services.kms.reconcile import RECONCILERS
from clary.services.operation import Operations

OPERATIONS = Operations()
for _part in (
    creation,
    lifecycle,
    aliases,
    tags,
    policies,
    grants,
    encryption,
    data_keys,
    signing,
    macs,
    rotation,
    imports,
    regions,
    usage,
):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS", "RECONCILERS"]
