"""What is known of a principal when he asks for something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from clary.auth.policy.decision import Standing
from clary.auth.policy.language import Policy
from clary.auth.policy.patterns import Context


@dataclass(frozen=True, slots=True)
class Identity:
    """The principal's side of a Standing, and the condition keys that are his whatever he asks for: aws:username,
    aws:PrincipalTag/<key>, aws:TokenIssueTime and the like, lower-cased."""

    policies: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    facts: Context = field(default_factory=dict)

    def standing(self, resource: Policy | None, account: str, decides: bool = False) -> Standing:
        """Before a resource of `account` with that policy; `decides` as in Standing."""
        return Standing(self.policies, self.boundary, self.session, resource, account, decides)
