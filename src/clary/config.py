"""Settings: one frozen value, and the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipaddress

# A unix socket's path has at most 107 bytes; a home deeper than this keeps its sockets elsewhere.
_LONGEST_SOCKET_FOLDER = 70


_FORMS = {
    "region": (re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+"), "the name of a region, such as eu-west-1"),
    "account": (re.compile(r"[0-9]{12}"), "twelve digits"),
    "public_url": (re.compile(r"https?://[^/@?#\s]+"), "http:// or https:// with a host and perhaps a port"),
    "smtp_url": (re.compile(r"smtps?://([^/@\s]+@)?[^/@?#\s]+"), "smtp:// or smtps:// with a host"),
    "mail_from": (re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"), "an e-mail address"),
    "objects_endpoint": (re.compile(r"https?://[^/?#@]+/?"), "the URL of a server, such as https://s3.example.com"),
    "objects_prefix": (re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*"), "what keys begin with, such as clary"),
    "objects_addressing": (re.compile(r"path|virtual"), "path or virtual"),
}
_FILES = ("root_passphrase_file", "objects_credentials_file", "objects_ca_bundle")
_NO_SETTINGS = {"CLARY_NO_UV"}  # read by the tools of the source tree
_KINDS = {"int": "a whole number", "float": "a number"}


def _setting(default: Any, about: str, least: int | None = None, most: int | None = None, *, shown: bool = True) -> Any:
    """A field with what the settings' reference page says of it, and the least and the most that makes sense. One that
    is not `shown` holds a secret."""
    return field(default=default, repr=shown, metadata={"about": about, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every field can be set as CLARY_<FIELD>; docs/reference/settings.md is made from these lines."""

    home: Path = field(metadata={"about": "The folder that holds everything of one server: data, keys, logs, sockets."})
    host: str = _setting("127.0.0.1", "The address to listen on. Anything but loopback lets other machines in.")
    port: int = _setting(7467, "The one port, for HTTP and HTTPS. 0 takes any free one.", 0)
    region: str = _setting("us-east-1", "The AWS region that this server says it is. The SDKs need a real one's name.")
    account: str = _setting("123456789012", "The twelve digits of the AWS account that this server says it is.")
    root_access_key_id: str = _setting("", "The root's access key. Empty: drawn at the first start and kept.")
    root_secret_access_key: str = _setting(
        "", "The root's secret key; given together with its access key or not at all.", shown=False
    )
    root_key: str = _setting(
        "",
        "The key under which secrets are kept: 32 bytes in base64. Empty: `secrets/root.key` of the home, drawn at the "
        "first start.",
        shown=False,
    )
    root_passphrase_file: str = _setting(
        "", "A file with a passphrase from which that key is made (scrypt), in place of CLARY_ROOT_KEY."
    )
    images_home: Path = field(
        default=Path(), metadata={"about": "The folder for environments of images, which many homes may share."}
    )
    image_limit_bytes: int = _setting(
        0, "Bytes that a container image may unpack to, to be given to podman. 0: half of what the disk has free.", 0
    )
    edges: int = _setting(1, "How many edge processes share the port.", 1)
    edge_connections: int = _setting(
        4096,
        "How many connections of clients an edge has open at once; further ones wait in the kernel. No address but "
        "this machine's own, no network of 64 bits of IPv6 addresses, and no job with all its instances gets more than "
        "half of them.",
        2,
    )
    job_slots: int = _setting(0, "How many training jobs run at once. 0: as many as there are cores, at least 2.", 0)
    isolation: str = _setting(
        "auto",
        "How jobs are shut in. `namespaces`: always by namespaces, else no start; `plain`: never, jobs are ordinary "
        "processes; `auto`: the strongest way that works here.",
    )
    stop_grace_seconds: float = _setting(
        120.0, "Seconds between a stop (SIGTERM) and the end (SIGKILL) of a training job. Endpoints get at most 30.", 0
    )
    startup_timeout_seconds: float = _setting(
        240.0, "Seconds in which a model server must answer /ping, unless the production variant gives its own time.", 0
    )
    clock_window_seconds: float = _setting(
        900.0, "By how many seconds the time of a signature may differ from ours.", 0
    )
    payload_limit_bytes: int = _setting(
        25 * 1024 * 1024, "Bytes of the largest request body, except for S3, which takes objects of any size.", 1
    )
    describe_hold_seconds: float = _setting(
        25.0,
        "For how many seconds at most a Describe is held when its client says that it waits for a job or an endpoint; "
        "it is answered as soon as the status changes. 0: never held. Longer, some clients and proxies give up.",
        0,
        25,
    )
    encrypt_objects: int = _setting(
        0,
        "1: objects that come in are encrypted (SSE-S3) where neither the request nor the bucket says how. "
        "0: they are kept as they are.",
        0,
        1,
    )
    scrub_rate: int = _setting(
        4,
        "How many MiB of the home's objects are read in a second, in the background, to see that they are still what "
        "was stored. A round through all of them begins once a week. 0: never.",
        0,
        10_000,
    )
    public_url: str = _setting(
        "",
        "Where those reach this server whom it sends links to, in messages of SNS: `https://HOST:PORT`. Empty: where "
        "it listens, by http.",
    )
    smtp_url: str = _setting(
        "",
        "The mail server for e-mail of SNS: `smtp://[USER:PASSWORD@]HOST[:PORT]` (encrypted where the server offers "
        "it; without that, a password goes to a server on this machine alone) or `smtps://...`. Empty: "
        "mail is written into a folder.",
        shown=False,
    )
    mail_folder: str = _setting("", "The folder for mail where there is no mail server. Empty: `mail` of the home.")
    mail_from: str = _setting("no-reply@clary.localhost", "The address that mail is from.")
    sns_deny: str = _setting(
        "",
        "Networks that no message of SNS is sent to, such as `10.0.0.0/8,fd00::/8`. Link-local, unspecified and "
        "multicast addresses and this server's own port never get any.",
    )
    objects_bucket: str = _setting(
        "", "The bucket of another S3-compatible store that keeps the objects' bytes. Empty: the home keeps them."
    )
    objects_endpoint: str = _setting(
        "", "Where that store is, such as `https://s3.example.com:9000`. Empty: Amazon S3."
    )
    objects_prefix: str = _setting(
        "clary", "What the keys in that bucket begin with, without a slash at the end. One server's alone."
    )
    objects_region: str = _setting("us-east-1", "The region that requests to that store are signed for.")
    objects_access_key_id: str = _setting("", "The access key for that store.", shown=False)
    objects_secret_access_key: str = _setting("", "The secret key that belongs to it.", shown=False)
    objects_credentials_file: str = _setting(
        "", "A file with both, as the AWS CLI keeps them (section `default`), in place of the two variables."
    )
    objects_addressing: str = _setting(
        "path", "How the bucket is named in requests to that store: `path`, or `virtual`, as a part of the host name."
    )
    objects_ca_bundle: str = _setting(
        "", "A file with the certificates by which that store is trusted over HTTPS. Empty: the well-known ones."
    )
    database_url: str = _setting(
        "",
        "PostgreSQL in place of SQLite, as SQLAlchemy writes it: `postgresql://USER:PASSWORD@HOST/NAME`.",
        shown=False,
    )

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """From CLARY_* variables; `given` (command-line options; None means not given) wins. Raises ValueError."""
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = source.get(f"CLARY_{each.name.upper()}")
            if given.get(each.name) is not None:
                values[each.name] = given[each.name]
            elif text:
                values[each.name] = _convert(each.name, str(each.type), text)
                _check(each.name, values[each.name], each.metadata, text)
        values["home"] = Path(values.get("home") or _default_home(source)).expanduser().absolute()
        values["images_home"] = Path(values.get("images_home") or _default_images(source)).expanduser().absolute()
        for name in _FILES:  # the control plane reads them, whose folder is another
            if values.get(name):
                values[name] = str(Path(values[name]).expanduser().absolute())
        made = cls(**values)
        try:
            _ = made.sns_denied
        except ValueError as error:
            raise ValueError(f"CLARY_SNS_DENY: {error}") from None
        return made

    @classmethod
    def unknown(cls, environment: Mapping[str, str]) -> list[str]:
        """CLARY_* variables that are no settings, as after a slip of the pen."""
        known = {f"CLARY_{each.name.upper()}" for each in fields(cls)} | _NO_SETTINGS
        return sorted(name for name in environment if name.startswith("CLARY_") and name not in known)

    @property
    def data(self) -> Path:
        """SQL files of the embedded store."""
        return self.home / "data"

    @property
    def blobs(self) -> Path:
        """Object bytes of the embedded object store."""
        return self.home / "objects"

    @property
    def scratch(self) -> Path:
        """Files of the server that nobody needs after it."""
        return self.home / "scratch"

    @property
    def registered_images(self) -> Path:
        """What accounts have put in the place of images (`clary.images.registered`)."""
        return self.home / "registered"

    @property
    def instances(self) -> Path:
        """One folder per running or uncollected instance: spool, staged inputs, outputs."""
        return self.home / "instances"

    @property
    def secrets(self) -> Path:
        """Root key and the certificate authority, 0700."""
        return self.home / "secrets"

    @property
    def logs(self) -> Path:
        """What Clary's own processes print."""
        return self.home / "logs"

    @property
    def mail(self) -> Path:
        """Mail that no server takes."""
        return Path(self.mail_folder).expanduser() if self.mail_folder else self.home / "mail"

    @property
    def sns_denied(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks of `sns_deny`. Raises ValueError."""
        import ipaddress  # every process reads the settings; only the control plane needs this one

        return tuple(ipaddress.ip_network(each.strip()) for each in self.sns_deny.split(",") if each.strip())

    @property
    def local_url(self) -> str:
        """Where what runs on this machine reaches the server."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def reached_at(self) -> str:
        """Where others do."""
        return self.public_url or self.local_url

    @property
    def damages(self) -> Path:
        """The list of objects that were found damaged (`clary.objects.damage`)."""
        return self.home / "damaged.jsonl"

    @property
    def run(self) -> Path:
        """Sockets and pid files of this home."""
        here = self.home / "run"
        if len(os.fsencode(here)) <= _LONGEST_SOCKET_FOLDER:
            return here
        import hashlib  # few homes are so deep, and these load a megabyte in each process
        import tempfile

        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"clary-{os.getuid()}-{name}"


def _default_home(source: Mapping[str, str]) -> Path:
    data = source.get("XDG_DATA_HOME")
    return (Path(data) if data else Path("~/.local/share")) / "clary"


def _default_images(source: Mapping[str, str]) -> Path:
    cache = source.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path("~/.cache")) / "clary" / "images"


def _convert(name: str, kind: str, text: str) -> Any:
    try:
        match kind:
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "Path":
                return Path(text)
            case _:
                return text
    except ValueError:
        raise ValueError(f"CLARY_{name.upper()}={text!r} is not {_KINDS[kind]}") from None


def _check(name: str, value: Any, bounds: Mapping[str, Any], text: str) -> None:
    if name in _FORMS and not _FORMS[name][0].fullmatch(value):
        raise ValueError(f"CLARY_{name.upper()}={text!r} is not {_FORMS[name][1]}")
    least, most = bounds.get("least"), bounds.get("most")
    if least is not None and not value >= least:  # so that nan is refused too
        raise ValueError(f"CLARY_{name.upper()}={text!r} is not {least} or more")
    if most is not None and not value <= most:
        raise ValueError(f"CLARY_{name.upper()}={text!r} is not {most} or less")
