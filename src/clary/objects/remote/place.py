"""Where the other store is, as the settings say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from clary.config import Settings

IN_PLACE = "clary.json"  # below the prefix: whose the place is
PAGE = "docs/operate/objects-elsewhere.md"


class PlaceError(Exception):
    """Objects cannot be kept where the settings say. The message says why and what to do, and names no secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket of a store, what the keys in it begin with, and how it is asked. `endpoint` is "" for Amazon S3."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    addressing: str
    ca_bundle: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix} at {self.endpoint or 'Amazon S3'}"


def place(settings: Settings) -> Place | None:
    """None when the home keeps the objects. Raises PlaceError."""
    if not settings.objects_bucket:
        return None
    access_key, secret_key, token = _keys(settings)
    return Place(
        settings.objects_bucket,
        settings.objects_prefix,
        settings.objects_endpoint,
        settings.objects_region,
        settings.objects_addressing,
        settings.objects_ca_bundle,
        access_key,
        secret_key,
        token,
    )


def _keys(settings: Settings) -> tuple[str, str, str]:
    given = (settings.objects_access_key_id, settings.objects_secret_access_key)
    if all(given):
        return (*given, "")
    file = settings.objects_credentials_file
    if any(given) or not file:
        raise PlaceError(
            "The bucket of CLARY_OBJECTS_BUCKET needs keys. Give CLARY_OBJECTS_ACCESS_KEY_ID and "
            "CLARY_OBJECTS_SECRET_ACCESS_KEY, or CLARY_OBJECTS_CREDENTIALS_FILE."
        )
    return _keys_of(Path(file))


def _keys_of(file: Path) -> tuple[str, str, str]:
    import configparser  # few servers are given such a file

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text())
        section = parser["default"]
        return section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token", "")
    except OSError as error:
        raise PlaceError(f"{file} (CLARY_OBJECTS_CREDENTIALS_FILE) cannot be read: {error.strerror}.") from error
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:  # whose texts may quote a key
        raise PlaceError(
            f"{file} (CLARY_OBJECTS_CREDENTIALS_FILE) has no section [default] with aws_access_key_id and "
            "aws_secret_access_key."
        ) from error
