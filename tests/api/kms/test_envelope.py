"""Data keys for the server's own services."""

from __future__ import annotations

from typing import Any

import pytest

from clary.auth.principals import Principal
from clary.context import Platform
from clary.errors import ServiceError
from clary.secrets.kept import SECONDS
from clary.services.kms import envelope
from clary.services.kms.envelope import Behalf
from clary.testing.frozen_clock import FrozenClock

ROLE = Principal("role-session", "123456789012", "arn:aws:sts::123456789012:assumed-role/r/s", "AROA:s", "", "r")


def test_a_data_key_comes_back_with_its_context(kms: Any, platform: Platform) -> None:
    made = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/data", TargetKeyId=made["KeyId"])
    for name in (made["KeyId"], made["Arn"], "alias/data"):
        key, arn = envelope.generate(Behalf(platform, ROLE), name, {"aws:s3:arn": "arn:aws:s3:::b/k"})
        assert (len(key.plaintext), arn) == (32, made["Arn"])
        assert envelope.unwrap(Behalf(platform, ROLE), key.sealed, {"aws:s3:arn": "arn:aws:s3:::b/k"}) == key.plaintext
        assert said(platform, key.sealed, "arn:aws:s3:::b/other")[0] == "InvalidCiphertextException"


def test_the_managed_key_is_made_when_it_is_first_needed(kms: Any, platform: Platform) -> None:
    key, arn = envelope.generate(Behalf(platform, ROLE), "alias/aws/s3", {})
    assert envelope.generate(Behalf(platform, ROLE), "alias/aws/s3", {})[1] == arn
    assert envelope.unwrap(Behalf(platform, ROLE), key.sealed, {}) == key.plaintext
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyManager"] == "AWS"


def test_a_key_that_is_disabled_or_goes_takes_its_data_with_it(kms: Any, platform: Platform) -> None:
    made = kms.create_key()["KeyMetadata"]
    blob = envelope.generate(Behalf(platform, ROLE), made["KeyId"], {})[0].sealed
    kms.disable_key(KeyId=made["KeyId"])
    assert said(platform, blob) == ("DisabledException", f"{made['Arn']} is disabled.")
    kms.schedule_key_deletion(KeyId=made["KeyId"])
    assert said(platform, blob) == ("KMSInvalidStateException", f"{made['Arn']} is pending deletion.")
    stranger = Principal("root", "210987654321", "arn:aws:iam::210987654321:root", "210987654321")
    with pytest.raises(ServiceError) as caught:
        envelope.unwrap(Behalf(platform, stranger), blob, {})
    assert caught.value.code == "AccessDeniedException"
    with pytest.raises(ServiceError) as caught:
        envelope.generate(Behalf(platform, stranger), made["Arn"], {})
    assert caught.value.code == "AccessDeniedException"


def said(platform: Platform, blob: bytes, context: str = "", kept: bool = False) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        envelope.unwrap(Behalf(platform, ROLE), blob, {"aws:s3:arn": context} if context else {}, kept=kept)
    return caught.value.code, caught.value.message


def test_a_kept_key_is_one_for_a_while(kms: Any, platform: Platform, clock: FrozenClock) -> None:
    made, behalf = kms.create_key()["KeyMetadata"], Behalf(platform, ROLE)
    first = envelope.generate(behalf, made["Arn"], {"aws:s3:arn": "b"}, kept=True)[0]
    assert envelope.generate(behalf, made["KeyId"], {"aws:s3:arn": "b"}, kept=True)[0] == first
    assert envelope.generate(behalf, made["Arn"], {"aws:s3:arn": "c"}, kept=True)[0] != first
    assert envelope.generate(behalf, made["Arn"], {"aws:s3:arn": "b"})[0] != first
    clock.advance(SECONDS)
    assert envelope.generate(behalf, made["Arn"], {"aws:s3:arn": "b"}, kept=True)[0] != first
    for _ in range(2):
        assert envelope.unwrap(behalf, first.sealed, {"aws:s3:arn": "b"}, kept=True) == first.plaintext
        assert said(platform, first.sealed, "c", kept=True)[0] == "InvalidCiphertextException"


def test_a_rotated_key_seals_no_more_under_its_old_material(kms: Any, platform: Platform) -> None:
    made, behalf = kms.create_key()["KeyMetadata"], Behalf(platform, ROLE)
    first = envelope.generate(behalf, made["Arn"], {}, kept=True)[0]
    kms.rotate_key_on_demand(KeyId=made["KeyId"])
    assert envelope.generate(behalf, made["Arn"], {}, kept=True)[0] != first


def test_a_kept_key_is_for_nobody_once_its_kms_key_cannot_be_used(kms: Any, platform: Platform) -> None:
    made, behalf = kms.create_key()["KeyMetadata"], Behalf(platform, ROLE)
    sealed = envelope.generate(behalf, made["Arn"], {}, kept=True)[0].sealed
    envelope.unwrap(behalf, sealed, {}, kept=True)
    kms.disable_key(KeyId=made["KeyId"])
    assert said(platform, sealed, kept=True)[0] == "DisabledException"
    with pytest.raises(ServiceError) as caught:
        envelope.generate(behalf, made["Arn"], {}, kept=True)
    assert caught.value.code == "DisabledException"
