"""The other store, asked before a server relies on it: whose a place is, and whether the keys do."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from clary.objects.base import Unavailable
from clary.objects.remote.bucket import Bucket, Refused
from clary.objects.remote.place import IN_PLACE, PAGE, Place, PlaceError


def owner(where: Place) -> str | None:
    """Whose the place is; None when it is nobody's. Raises PlaceError, also when the keys may not list or read."""
    with _telling(where):
        bucket = Bucket(where)
        next(bucket.list(f"{where.prefix}/"), None)
        try:
            stream = bucket.get(f"{where.prefix}/{IN_PLACE}")[1]
        except FileNotFoundError:
            return None
        return str(json.loads(stream.read()).get("home"))


def mark(where: Place, home: str, new: bool) -> bool:
    """Says in the place whose it is, which also tries whether the keys may write. False when it is `new` and somebody
    else was quicker. Raises PlaceError."""
    key, data = f"{where.prefix}/{IN_PLACE}", json.dumps({"home": home}).encode()
    with _telling(where):
        if new:
            return Bucket(where).put_new(key, data) or owner(where) == home  # whose first answer was lost
        Bucket(where).put(key, data)
    return True


@contextlib.contextmanager
def _telling(where: Place) -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        words = f"{where} does not answer ({error}). Is CLARY_OBJECTS_ENDPOINT right, and the store up?"
        raise PlaceError(words) from error
    except Refused as error:
        hint = _HINTS.get(error.code, "Check the CLARY_OBJECTS_ settings.")
        raise PlaceError(f"{where} cannot be used ({error}). {hint}") from error
    except (OSError, ValueError, AttributeError) as error:
        raise PlaceError(f"{where} cannot be used: {error}.") from error


_KEYS = "Check the keys, and that the store knows them."
_HINTS = {
    "NoSuchBucket": "Make the bucket, or correct CLARY_OBJECTS_BUCKET.",
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "AccessDenied": f"Its keys need the rights that {PAGE} lists.",
    "AuthorizationHeaderMalformed": "Correct CLARY_OBJECTS_REGION.",
    "PermanentRedirect": "Correct CLARY_OBJECTS_REGION or CLARY_OBJECTS_ENDPOINT.",
}
