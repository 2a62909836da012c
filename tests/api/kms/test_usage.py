"""What a key was used for last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.kms.refused import code
from clary.auth.principals import Principal
from clary.context import Platform
from clary.services.kms import envelope
from clary.services.kms.envelope import Behalf
from clary.services.kms.usage import NOTED_SECONDS
from clary.testing.frozen_clock import FrozenClock

ROOT = Principal("root", "123456789012", "arn:aws:iam::123456789012:root", "123456789012")
DAY = 86_400


def last(kms: Any, key: str) -> tuple[str, float] | None:
    """(operation, when)"""
    told = kms.get_key_last_usage(KeyId=key)
    assert told["KeyId"] == key.rpartition("/")[2] and told["TrackingStartDate"] == told["KeyCreationDate"]
    used = told["KeyLastUsage"]
    return (used["Operation"], used["Timestamp"].timestamp()) if used else None


def test_each_kind_of_use_is_told(kms: Any, clock: FrozenClock) -> None:
    key, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    macs = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    assert [last(kms, each) for each in (key, other, signing, macs)] == [None] * 4
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert last(kms, key) == ("Encrypt", clock.now())
    algorithm = {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"m"}
    uses: list[tuple[str, Callable[[], Any], list[str]]] = [
        ("Decrypt", lambda: kms.decrypt(CiphertextBlob=blob), [key]),
        ("ReEncrypt", lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other), [key, other]),
        ("GenerateDataKey", lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"), [key]),
        ("GenerateDataKeyPairWithoutPlaintext", lambda: pair(kms, key), [key]),
        ("Sign", lambda: kms.sign(KeyId=signing, **algorithm), [signing]),
        ("GenerateMac", lambda: kms.generate_mac(KeyId=macs, Message=b"m", MacAlgorithm="HMAC_SHA_256"), [macs]),
    ]
    for operation, use, of in uses:
        clock.advance(NOTED_SECONDS)
        use()
        assert [last(kms, each) for each in of] == [(operation, clock.now())] * len(of)


def pair(kms: Any, key: str) -> Any:
    return kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_NIST_P256")


def test_what_failed_or_was_only_tried_is_no_use(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x", DryRun=True) == "DryRunOperationException"
    kms.disable_key(KeyId=key)
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
    assert last(kms, key) is None


def test_uses_of_one_minute_are_noted_once(kms: Any, clock: FrozenClock) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.encrypt(KeyId=key, Plaintext=b"x")
    first = clock.now()
    clock.advance(NOTED_SECONDS - 1)
    kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert last(kms, key) == ("Encrypt", first)


@pytest.mark.parametrize("kept", [False, True])
def test_a_kept_data_key_is_used_without_kms(kms: Any, platform: Platform, clock: FrozenClock, kept: bool) -> None:
    key, behalf = kms.create_key()["KeyMetadata"]["KeyId"], Behalf(platform, ROOT)
    sealed = envelope.generate(behalf, key, {}, kept=kept)[0].sealed
    first = clock.now()
    clock.advance(NOTED_SECONDS)
    envelope.generate(behalf, key, {}, kept=kept)
    assert last(kms, key) == ("GenerateDataKey", first if kept else clock.now())
    clock.advance(NOTED_SECONDS)
    envelope.unwrap(behalf, sealed, {}, kept=kept)
    opened = clock.now()
    clock.advance(NOTED_SECONDS)
    envelope.unwrap(behalf, sealed, {}, kept=kept)
    assert last(kms, key) == ("Decrypt", opened if kept else clock.now())


def test_it_goes_with_the_key_and_is_its_accounts(
    aws: Callable[..., Any], kms: Any, clock: FrozenClock, settle: Callable[[], None]
) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.encrypt(KeyId=key, Plaintext=b"x")
    assert code(aws("210987654321").get_key_last_usage, KeyId=key) == "AccessDeniedException"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert last(kms, key) is not None
    clock.advance(8 * DAY)
    settle()
    assert code(kms.get_key_last_usage, KeyId=key) == "NotFoundException"
