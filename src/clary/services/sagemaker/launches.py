"""What every instance of a SageMaker resource is launched with, whatever it runs."""

from __future__ import annotations

import secrets

from clary.config import Settings
from clary.contract.instance import Image
from clary.images.base import Images
from clary.registry.names import DIGEST, digest_of
from clary.services.operation import Document

_PROGRAM = "sagemaker_program"  # an entry point of the user's: the image runs it instead of its own algorithm
_NAME_IN_ID = 32  # an instance's folder holds a unix socket, whose path has at most 107 bytes


def new_instance_id(name: str) -> str:
    """Unique, safe as a folder name, and telling to whoever lists the folder."""
    return f"{name[:_NAME_IN_ID].rstrip('-')}-{secrets.token_hex(4)}"


def image(images: Images, account: str, uri: str, *given: Document, command: bool = False, pin: str = "") -> Image:
    """What an image means to a job of the account with these hyperparameters and variables, or with a `command` of the
    user's to run in it; with a `pin` what it meant when that was drawn. Raises ImageNotOffered."""
    script = command or any(each.get(_PROGRAM) or each.get(_PROGRAM.upper()) for each in given)
    return images.resolve(uri, script, account, pin)


def resolved_name(image: Image) -> str:
    """The URI with the digest of what it stood for, in the place of a tag. Of a folder it is one of the folder's
    content and environment; images of Clary's own have none, their URI stays as it is."""
    if not image.pin:
        return image.uri
    folders, slash, name = image.uri.partition("@")[0].rpartition("/")
    digest = image.pin if DIGEST.fullmatch(image.pin) else digest_of(image.pin.encode())
    return f"{folders}{slash}{name.partition(':')[0]}@{digest}"


def new_token() -> str:
    """Proves to the control plane that an agent is the one that was launched."""
    return secrets.token_urlsafe(32)


def agent_link(settings: Settings) -> str:
    """The control plane's socket for agents."""
    return str(settings.run / "agents.sock")


def authority(settings: Settings) -> str:
    """The file of the certificate authority by which what runs inside trusts the server."""
    return str(settings.secrets / "ca.pem")
