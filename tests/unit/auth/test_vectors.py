"""The published signing vectors, read as requests to verify: accepted as written, refused after a change of one bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from clary.auth import claims, sigv4
from clary.auth.principals import ANONYMOUS, Credential
from clary.errors import ServiceError
from clary.wire.messages import Headers, Request

MIRRORS = os.environ.get("MIRRORS", "")
C_AUTH = ("awslabs+aws-c-auth", "tests/aws-signing-test-suite/v4/")
BOTOCORE = ("boto+botocore", "tests/unit/auth/aws4_testsuite/")
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_440_938_160.0


@dataclass(frozen=True)
class Vector:
    request: Request
    body: bytes
    token: str
    normalize: bool

    def verify(self) -> None:
        rules = sigv4.Rules("service", "json", normalize=self.normalize)
        presigned = "X-Amz-Algorithm" in self.request.query
        claim = (claims.from_query if presigned else claims.from_header)(self.request, "json")
        credential = Credential("AKIDEXAMPLE", SECRET, ANONYMOUS, self.token)
        if claim.access_key != credential.access_key:
            raise ServiceError("UnrecognizedClientException", "another key")
        sigv4.check_claim(claim, credential, self.request, rules, NOW)
        payload = hashlib.sha256(self.body).hexdigest()
        sigv4.check_signature(claim, credential, self.request, payload, rules, sigv4.SigningKeys())


@cache
def files(repository: str, folder: str) -> dict[str, bytes]:
    """Every file under `folder`, by its path from there."""
    git = ["git", f"--git-dir={MIRRORS}/{repository}/repo"]
    names = subprocess.run(
        [*git, "ls-tree", "-r", "-z", "--name-only", "HEAD", folder], capture_output=True, check=True
    ).stdout.split(b"\0")[:-1]
    asked = b"".join(b"HEAD:" + name + b"\n" for name in names)
    answer = subprocess.run([*git, "cat-file", "--batch"], input=asked, capture_output=True, check=True).stdout
    found = {}
    for name in names:
        head, _, rest = answer.partition(b"\n")
        size = int(head.split()[-1])
        found[name.decode().removeprefix(folder)] = rest[:size]
        answer = rest[size + 1 :]
    return found


def read(raw: bytes, token: str, normalize: bool, authorization: str = "") -> Vector:
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    line, *rest = head.decode("latin-1").rstrip("\n").split("\n")
    method, _, tail = line.partition(" ")
    pairs: list[tuple[str, str]] = []
    for text in rest:
        if text.startswith(" "):
            name, value = pairs.pop()
            pairs.append((name, f"{value}\n{text}"))
        else:
            name, _, value = text.partition(":")
            pairs.append((name, value))
    if authorization:
        pairs.append(("Authorization", authorization))
    # A body that is "signed" by the vectors ends with the file.
    return Vector(Request(method, tail.rpartition(" ")[0], Headers(pairs)), body, token, normalize)


def c_auth_vectors() -> Iterator[tuple[str, Vector]]:
    found = files(*C_AUTH)
    for name in sorted({path.split("/")[0] for path in found}):
        context = json.loads(found[f"{name}/context.json"])
        token = context["credentials"].get("token", "")
        for way in ("header", "query"):
            yield f"{way}-{name}", read(found[f"{name}/{way}-signed-request.txt"], token, context["normalize"])


def botocore_vectors() -> Iterator[tuple[str, Vector]]:
    found = files(*BOTOCORE)
    for path in sorted(found):
        if not path.endswith(".req"):
            continue
        stem = path.removesuffix(".req")
        raw, authorization = found[path], found[f"{stem}.authz"].decode()
        vector = read(raw, "", True, authorization.strip())
        # Where the signer is to add the token, only the canonical request has it.
        token = found[f"{stem}.creq"].decode().partition("x-amz-security-token:")[2].partition("\n")[0]
        pairs = vector.request.headers.pairs
        if token and "x-amz-security-token" not in vector.request.headers:
            pairs = (*pairs, ("X-Amz-Security-Token", token))
        yield stem, replace(vector, token=token, request=replace(vector.request, headers=Headers(pairs)))


def vectors() -> list[tuple[str, Vector]]:
    if not MIRRORS or not Path(MIRRORS, C_AUTH[0]).is_dir() or not Path(MIRRORS, BOTOCORE[0]).is_dir():
        return []
    return [*c_auth_vectors(), *botocore_vectors()]


ALL = vectors()
pytestmark = pytest.mark.skipif(not ALL, reason="MIRRORS names no folder with aws-c-auth and botocore")


def test_none_is_missing() -> None:
    assert sum(name.startswith("header-") for name, _ in ALL) >= 38
    assert sum(name.startswith("query-") for name, _ in ALL) >= 38
    assert len(ALL) >= 106


@pytest.mark.parametrize(("name", "vector"), ALL, ids=[name for name, _ in ALL])
def test_accepted_as_written(name: str, vector: Vector) -> None:
    vector.verify()


@pytest.mark.parametrize(("name", "vector"), ALL, ids=[name for name, _ in ALL])
def test_refused_after_one_bit_changed(name: str, vector: Vector) -> None:
    for what, changed in changes(vector):
        with pytest.raises(ServiceError):
            changed.verify()
            pytest.fail(f"accepted after a change of {what}")


def changes(vector: Vector) -> Iterator[tuple[str, Vector]]:
    request = vector.request
    authorization = request.headers.get("authorization") or ""
    signed = set(authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";"))
    for name in request.headers.names():
        if name == "authorization" or name in signed or name == "host":
            yield from header_changes(vector, name)
    path, mark, query = request.target.partition("?")
    # What a ".." takes away again may be anything.
    for changed in flipped(path) if ".." not in path or not vector.normalize else ():
        yield "path", with_target(vector, f"{changed}{mark}{query}")
    for changed in flipped(query):
        yield "query", with_target(vector, f"{path}{mark}{changed}")
    yield "method", replace(vector, request=replace(request, method="PUT"))
    body = vector.body
    for at in range(len(body)):
        yield "body", replace(vector, body=body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
    yield "body", replace(vector, body=body + b"x")


def header_changes(vector: Vector, name: str) -> Iterator[tuple[str, Vector]]:
    pairs = vector.request.headers.pairs
    for index, (written, value) in enumerate(pairs):
        if written.lower() != name:
            continue
        for changed in flipped(value):
            headers = Headers([*pairs[:index], (written, changed), *pairs[index + 1 :]])
            yield name, replace(vector, request=replace(vector.request, headers=headers))


def flipped(text: str) -> Iterator[str]:
    """For each letter and digit a text that differs in one bit of it (blanks and dots may stand for their like)."""
    for at, character in enumerate(text):
        # A percent escape in lower case is the same escape.
        if not character.isalnum() or (character in "ABCDEF" and "%" in text[max(0, at - 2) : at]):
            continue
        yield text[:at] + chr(ord(character) ^ (1 << at % 7)) + text[at + 1 :]


def with_target(vector: Vector, target: str) -> Vector:
    return replace(vector, request=replace(vector.request, target=target))
