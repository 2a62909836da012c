"""The variables that point unmodified AWS clients at a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.cli.failure import Failure
from clary.cli.server import Server
from clary.server import questions
from clary.server.questions import Keys

# They would send some calls elsewhere, or name a profile that is not there.
_IN_THE_WAY = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_SECURITY_TOKEN")
_DEFAULT_IMAGE = "SAGEMAKER_INTERNAL_IMAGE_URI"
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
_ROOTS = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_DIRECT = ("NO_PROXY", "no_proxy")


@dataclass(frozen=True, slots=True)
class Variables:
    """What to set, and what to unset because it would get in the way."""

    given: dict[str, str]
    unset: tuple[str, ...]

    def applied(self, environment: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in environment.items() if name not in self.unset}
        return kept | self.given


def keys(server: Server, root: bool) -> Keys:
    try:
        return questions.root_key(server.control) if root else questions.session(server.control)
    except (questions.NotRunning, questions.Refused) as error:
        raise Failure(
            f"The server at {server.url} gives no credentials: {error} See {server.settings.logs}."
        ) from error


def variables(server: Server, credentials: Keys, by_endpoint: bool, environment: Mapping[str, str]) -> Variables:
    """By proxy (every AWS address comes home, also those that SDKs hard-code), or by AWS_ENDPOINT_URL."""
    region = server.settings.region
    given = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
    }
    if not environment.get(_DEFAULT_IMAGE):
        given[_DEFAULT_IMAGE] = default_image(server.settings.account, region)
    if by_endpoint:
        given["AWS_ENDPOINT_URL"] = server.url
    else:
        given |= dict.fromkeys(_PROXIES, server.url)
        given |= dict.fromkeys(_DIRECT, "localhost,127.0.0.1,::1")
        # Clients that are not AWS's look at the second, container engines among them, or at the third, as Python's
        # requests does, by which the SDKs report their use; what these named is in the bundle.
        given |= dict.fromkeys(_ROOTS, str(bundle(server, environment)))
    given = {name: value for name, value in given.items() if value}
    others = [name for name in environment if name.startswith("AWS_ENDPOINT_URL_")]
    unset = [name for name in (*_IN_THE_WAY, "AWS_SESSION_TOKEN", *others) if name not in given]
    return Variables(given, tuple(unset))


def default_image(account: str, region: str) -> str:
    """What @remote functions run in that name no image: Python in the client's own version. The SDKs choose one by
    themselves for a few old versions alone, but let Studio name its own."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com/sagemaker-base-python:1.0"


def bundle(server: Server, environment: Mapping[str, str]) -> Path:
    """A file of Clary's CA and the roots that this user's clients trust already, written now."""
    from clary.server.certificates import Authority

    path = server.settings.home / "ca-bundle.pem"
    ours = [name for name in _ROOTS if environment.get(name) == str(path)]  # in a shell that was pointed here before
    outer = {name: value for name, value in environment.items() if name not in ours}
    Authority.open(server.settings.secrets).bundle(path, outer)
    return path


def configuration(server: Server, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A configuration file for a user who has none: `aws configure get region`, by which scripts make the name of their
    registry, looks at no variable."""
    if environment.get("AWS_CONFIG_FILE") or Path("~/.aws/config").expanduser().exists():
        return {}
    region = server.settings.region
    path = server.settings.home / f"aws-config-{region}"
    if not path.exists():  # what `aws configure set` wrote stays
        path.write_text(f"[default]\nregion = {region}\n")
    return {"AWS_CONFIG_FILE": str(path)}


def outer_proxy(server: Server, environment: Mapping[str, str] = os.environ) -> str:
    """A proxy that the user has set already, which ours would replace; empty when there is none."""
    named = (environment.get(name, "") for name in ("https_proxy", "HTTPS_PROXY"))
    return next((value for value in named if value and value != server.url), "")
