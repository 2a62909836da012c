"""AWS Identity and Access Management: users, groups, roles and what they may do."""

from clary.services.iam import (
    access_keys,
    account_settings,
    authorization_details,
    groups,
    instance_profiles,
    login_profiles,
    oidc_providers,
    policies,
    policy_usage,
    policy_versions,
    roles,
    saml_providers,
    service_linked_roles,
    simulation,
    users,
)
from clary.services.operation import Operations

OPERATIONS = Operations()
for _part in (
    users,
    access_keys,
    login_profiles,
    groups,
    roles,
    service_linked_roles,
    instance_profiles,
    policies,
    policy_versions,
    policy_usage,
    oidc_providers,
    saml_providers,
    account_settings,
    authorization_details,
    simulation,
):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS"]
