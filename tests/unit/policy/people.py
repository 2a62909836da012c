"""Principals, and short ways to write policies."""

from __future__ import annotations

from typing import Any

from clary.auth.policy import Policy, parse
from clary.auth.principals import ANONYMOUS, Principal

HOME, AWAY = "111122223333", "444455556666"
ROOT = Principal("root", HOME, f"arn:aws:iam::{HOME}:root", HOME)
USER = Principal("user", HOME, f"arn:aws:iam::{HOME}:user/team/ann", "AIDAEXAMPLE")
OTHER = Principal("user", HOME, f"arn:aws:iam::{HOME}:user/bob", "AIDAOTHER")
SESSION = Principal(
    *("role-session", HOME, f"arn:aws:sts::{HOME}:assumed-role/train/job", "AROATRAIN:job", "", "path/train"),
    behind="AROATRAIN",
)
FEDERATED = Principal(
    *("federated-user", HOME, f"arn:aws:sts::{HOME}:federated-user/guest", f"{HOME}:guest"), behind=USER.user_id
)
STRANGER = Principal("user", AWAY, f"arn:aws:iam::{AWAY}:user/eve", "AIDAEVE")
SAGEMAKER = Principal("service", "", "sagemaker.amazonaws.com", "")
EVERYBODY = (ROOT, USER, OTHER, SESSION, FEDERATED, STRANGER, SAGEMAKER, ANONYMOUS)


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    return parse({"Version": version, "Statement": list(statements)})


def allow(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "*", "Resource": "*", **elements}


def deny(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": "*", "Resource": "*", **elements}
