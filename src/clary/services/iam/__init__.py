"""AWS Identity and Access Management: roles, policies, users, access keys."""

from clary.services.iam import policies, role_policies, roles, simulation, users
from clary.services.operation import Operations

OPERATIONS = Operations()
for _part in (roles, role_policies, policies, users, simulation):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS"]
