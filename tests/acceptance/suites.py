"""The suites of other projects that hold Clary to AWS: where they come from and how each is pointed at a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.auth.principals import canonical_id
from whole_server import WholeServer

MAIN, OTHER = "123456789012", "210987654321"
_MOTO, _S3 = "5.2.3", "8f0ae7b404a3a2fcf7038bf1e6bf29544fe9b6a3"


@dataclass(frozen=True, slots=True)
class Suite:
    """`mirror` is its source under MIRRORS, of which `revision` is laid out, `paths` alone; `tests` is what pytest is
    given. It runs in .venvs/`environment`, with the variables that `point` makes of a server and a scratch folder."""

    name: str
    mirror: str
    revision: str
    paths: tuple[str, ...]
    tests: tuple[str, ...]
    environment: str
    point: Callable[[WholeServer, Path], Mapping[str, str]]

    @property
    def expected(self) -> Path:
        """The committed list: an id a line of those that pass; behind "# Left out: …", with a dash, of those that
        cannot, and why."""
        return Path(__file__).with_name(f"{self.name}.txt")


def _moto(service: str) -> Callable[[WholeServer, Path], Mapping[str, str]]:
    """moto's tests reach a server of its own by these; the root's key is their user's."""

    def point(server: WholeServer, _folder: Path) -> Mapping[str, str]:
        return {
            **server.keys(),
            "TEST_SERVER_MODE": "true",
            "TEST_SERVER_MODE_ENDPOINT": server.url,
            "TESTS_SKIP_REQUIRES_DOCKER": "true",
            "SUITE_SERVICE": service,
        }

    return point


_CONFIGURATION = """[DEFAULT]
host = 127.0.0.1
port = {port}
is_secure = False
ssl_verify = False
[fixtures]
bucket prefix = suite-{{random}}-
iam name prefix = s3-tests-
iam path prefix = /s3-tests/
"""
_SECTION = """[{name}]
display_name = {account}
user_id = {canonical}
email = {account}@example.com
api_name = us-east-1
access_key = {key}
secret_key = {secret}
tenant = other
"""
_SECTIONS = {"s3 main": MAIN, "iam": MAIN, "iam root": MAIN, "s3 alt": OTHER, "s3 tenant": OTHER, "iam alt root": OTHER}


def _s3(server: WholeServer, folder: Path) -> Mapping[str, str]:
    """ceph's tests want two accounts, told by a file."""
    wanted = folder / "accounts.toml"
    wanted.write_text(f'[[accounts]]\nid = "{OTHER}"\n')
    server.ask("accounts", "apply", str(wanted))
    found = {each["account"]: each for each in server.ask("accounts", "ls", "--keys")["accounts"]}
    text = _CONFIGURATION.format(port=server.port)
    for name, account in _SECTIONS.items():
        keys = {"key": found[account]["access_key"], "secret": found[account]["secret_key"]}
        text += _SECTION.format(name=name, account=account, canonical=canonical_id(account), **keys)
    (folder / "s3tests.conf").write_text(text)
    return {"S3TEST_CONF": str(folder / "s3tests.conf"), "SUITE_SERVICE": "s3"}


_PARTS = ("tests/__init__.py", "tests/conftest.py", "tests/markers.py", "pyproject.toml", "setup.cfg")


def _of_moto(name: str, swept: str) -> Suite:
    tests = f"tests/test_{name}"
    return Suite(name, "getmoto+moto", _MOTO, (*_PARTS, tests), (tests,), "moto-suite", _moto(swept))


_FUNCTIONAL = tuple(f"s3tests/functional/{name}.py" for name in ("test_s3", "test_headers"))
SUITES = {
    each.name: each
    for each in (
        _of_moto("sts", "iam"),
        _of_moto("kms", "kms"),
        _of_moto("logs", "logs"),
        _of_moto("ecr", "ecr"),
        Suite("s3", "ceph+s3-tests", _S3, (".",), _FUNCTIONAL, "s3-suite", _s3),
    )
}
