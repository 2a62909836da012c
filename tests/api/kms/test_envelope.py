"""Data keys for the server's own services."""

from __future__ import annotations

from typing import Any

import pytest

from clary.auth.principals import Principal
from clary.context import Platform
from clary.errors import ServiceError
from clary.services.kms import envelope

ROLE = Principal("role-session", "123456789012", "arn:aws:sts::123456789012:assumed-role/r/s", "AROA:s", "", "r")


def test_a_data_key_comes_back_with_its_context(kms: Any, platform: Platform) -> None:
    made = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/data", TargetKeyId=made["KeyId"])
    for name in (made["KeyId"], made["Arn"], "alias/data"):
        plaintext, blob, arn = envelope.generate(platform, ROLE, name, {"aws:s3:arn": "arn:aws:s3:::b/k"})
        assert (len(plaintext), arn) == (32, made["Arn"])
        assert envelope.unwrap(platform, ROLE, blob, {"aws:s3:arn": "arn:aws:s3:::b/k"}) == plaintext
        with pytest.raises(ServiceError) as caught:
            envelope.unwrap(platform, ROLE, blob, {"aws:s3:arn": "arn:aws:s3:::b/other"})
        assert caught.value.code == "InvalidCiphertextException"


def test_the_managed_key_is_made_when_it_is_first_needed(kms: Any, platform: Platform) -> None:
    plaintext, blob, arn = envelope.generate(platform, ROLE, "alias/aws/s3", {})
    assert envelope.generate(platform, ROLE, "alias/aws/s3", {})[2] == arn
    assert envelope.unwrap(platform, ROLE, blob, {}) == plaintext
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyManager"] == "AWS"


def test_a_key_that_is_disabled_or_goes_takes_its_data_with_it(kms: Any, platform: Platform) -> None:
    made = kms.create_key()["KeyMetadata"]
    blob = envelope.generate(platform, ROLE, made["KeyId"], {})[1]
    kms.disable_key(KeyId=made["KeyId"])
    assert said(platform, blob) == ("DisabledException", f"{made['Arn']} is disabled.")
    kms.schedule_key_deletion(KeyId=made["KeyId"])
    assert said(platform, blob) == ("KMSInvalidStateException", f"{made['Arn']} is pending deletion.")
    stranger = Principal("root", "210987654321", "arn:aws:iam::210987654321:root", "210987654321")
    with pytest.raises(ServiceError) as caught:
        envelope.unwrap(platform, stranger, blob, {})
    assert caught.value.code == "AccessDeniedException"
    with pytest.raises(ServiceError) as caught:
        envelope.generate(platform, stranger, made["Arn"], {})
    assert caught.value.code == "AccessDeniedException"


def said(platform: Platform, blob: bytes) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        envelope.unwrap(platform, ROLE, blob, {})
    return caught.value.code, caught.value.message
