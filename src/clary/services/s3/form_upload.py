"""Uploads by HTML forms (AWS calls it PostObject, its models do not have it): PutObject, said in the fields of a form
and answered as the form asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from clary.auth import forms
from clary.errors import ServiceError
from clary.services.operation import Call
from clary.services.s3 import faults, user_metadata
from clary.wire import body_xml
from clary.wire.messages import Headers, Request, Response
from clary.wire.multipart import Form, read_form
from clary.wire.router import Route
from clary.wire.scalars import Malformed

_FILENAME = "${filename}"
_NAMED_OTHERWISE = {"acl": "x-amz-acl", "tagging": "x-amz-tagging"}
_PROOF = frozenset({"x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"})
# Which scheme the proof is of is a condition key.
_ALGORITHM = "x-amz-algorithm"
_OF_THE_HEAD = ("host", "origin", "referer", "user-agent")
_STATUSES = {"200": 200, "201": 201}
_DEFAULT_STATUS = 204


def is_one(call: Call) -> bool:
    return call.operation == "PutObject" and call.request.method == "POST"


def without_length() -> ServiceError:
    """Bytes whose number nobody declared; of a form's file nobody does, but of the whole form."""
    return ServiceError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)


def opened(request: Request) -> Form:
    """The form in the body of a request, its file unread; `${filename}` stands for the file's name where it has one.
    Raises ServiceError."""
    if request.body.length is None:
        raise without_length()
    form = read_form(request.headers.get("content-type") or "", request.body)
    name = form.filename.rpartition("/")[2].rpartition("\\")[2]
    if not name:
        return form
    return dataclasses.replace(
        form, fields={field: text.replace(_FILENAME, name) for field, text in form.fields.items()}
    )


def meant(route: Route, request: Request, fields: Mapping[str, str]) -> Route:
    """The PutObject that a form with these fields asks for. `request` is the admitted one. Raises ServiceError."""
    if not fields.get("key"):
        raise forms.missing("key")
    headers = [(name, value) for name, value in request.headers.pairs if name.lower() in _OF_THE_HEAD]
    headers += [(name, _as_header(name, value)) for name, value in _said(route, fields).items()]
    labels = {**route.labels, "Key": fields["key"]}
    return route._replace(request=dataclasses.replace(request, headers=Headers(headers)), labels=labels)


def _said(route: Route, fields: Mapping[str, str]) -> dict[str, str]:
    """The headers that say what the fields do. What has no meaning to S3 is let pass: a policy had to allow it."""
    known = _headers_of(route)
    said: dict[str, str] = {}
    for field, value in fields.items():
        name = _NAMED_OTHERWISE.get(field, field)
        if name in _PROOF:
            continue
        if name in known or name.startswith(user_metadata.PREFIX) or name == _ALGORITHM:
            if name in said:
                raise faults.invalid_argument(f"The form says {name} twice.", name, value)
            said[name] = _tags(value) if field == "tagging" else value
        elif name.startswith("x-amz-"):
            raise faults.not_implemented(field)
    return said


def _headers_of(route: Route) -> frozenset[str]:
    shape = route.operation.input_shape
    members = shape.members.values() if shape else ()
    names = {each.serialization["name"].lower() for each in members if each.serialization.get("location") == "header"}
    return frozenset(names - {"content-length"})


def _as_header(name: str, value: str) -> str:
    """Bytes as characters, as headers have them."""
    user_metadata.check_header(name, value)
    return value.strip().encode().decode("latin-1")


def _tags(document: str) -> str:
    """Of the XML of PutObjectTagging, as the header has them. Raises MalformedXML."""
    try:
        root = body_xml.loads(document.encode())
    except Malformed:
        raise faults.malformed_xml() from None
    if (root.tag, [each.tag for each in root]) != ("Tagging", ["TagSet"]):
        raise faults.malformed_xml()
    if any(tag.tag != "Tag" or sorted(each.tag for each in tag) != ["Key", "Value"] for tag in root[0]):
        raise faults.malformed_xml()
    return urlencode([(tag.findtext("Key", ""), tag.findtext("Value", "")) for tag in root[0]])


def answer(posted: Route, fields: Mapping[str, str], response: Response) -> Response:
    """What the form asks to be told: a redirection, a document, or a status alone. `posted` is the route of the form
    itself, `response` PutObject's."""
    bucket, key = posted.labels["Bucket"], fields["key"]
    etag = next(value for name, value in response.headers if name.lower() == "etag")
    page = _redirection(fields, bucket, key, etag)
    if page:
        return Response(303, [*response.headers, ("Location", page)])
    status = _STATUSES.get(fields.get("success_action_status", ""), _DEFAULT_STATUS)
    location = _location(posted.request, key)
    headers = [*response.headers, ("Location", location)]
    if status != 201:
        return Response(status, headers)
    told = {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag}
    inner = "".join(f"<{name}>{body_xml.escape(text)}</{name}>" for name, text in told.items())
    document = f"{body_xml.DECLARATION}<PostResponse>{inner}</PostResponse>"
    return Response(status, [*headers, ("Content-Type", "application/xml")], document.encode())


def _location(request: Request, key: str) -> str:
    """Of the object, as the form's address names its bucket."""
    base = f"{request.scheme}://{request.headers.get('host') or ''}{request.path.rstrip('/')}"
    return f"{base}/{quote(key)}"


def _redirection(fields: Mapping[str, str], bucket: str, key: str, etag: str) -> str:
    """Where the browser is to go; "" where the form names no absolute URL: AWS documents that one it cannot interpret
    counts as none."""
    page = fields.get("success_action_redirect") or fields.get("redirect") or ""
    if not (page.isascii() and page.isprintable() and " " not in page):
        return ""
    try:
        parts = urlsplit(page)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    told = urlencode({"bucket": bucket, "key": key, "etag": etag}, quote_via=quote)
    return urlunsplit(parts._replace(query=f"{parts.query}&{told}" if parts.query else told))
