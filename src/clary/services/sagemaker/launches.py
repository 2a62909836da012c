"""What every instance of a SageMaker resource is launched with, whatever it runs."""

from __future__ import annotations

import secrets

from clary.config import Settings

_NAME_IN_ID = 32  # an instance's folder holds a unix socket, whose path has at most 107 bytes


def new_instance_id(name: str) -> str:
    """Unique, safe as a folder name, and telling to whoever lists the folder."""
    return f"{name[:_NAME_IN_ID].rstrip('-')}-{secrets.token_hex(4)}"


def new_token() -> str:
    """Proves to the control plane that an agent is the one that was launched."""
    return secrets.token_urlsafe(32)


def agent_link(settings: Settings) -> str:
    """The control plane's socket for agents."""
    return str(settings.run / "agents.sock")
