"""The workflows of the OCI distribution specification: pull, push, discover, delete; and what its errors look like."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from typing import Any

import pytest

from api.ecr.registry import LAYER, OCI_IMAGE, OCI_INDEX, Registry, descriptor, digest, index
from whole_server import WholeServer

DATA = b"some bytes of a layer"
NOBODYS = digest(b"nobody's")


def test_whoever_has_a_token_is_let_in(registry: Registry, server: WholeServer) -> None:
    assert registry.ask("GET", "/v2/").status == 200
    refused = Registry(server.port).ask("GET", "/v2/")
    assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
    assert refused.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("given", ["AWS:forged", "AWS:", "root:password", "AWS:" + "A" * 400])
def test_what_is_no_token_opens_nothing(server: WholeServer, given: str) -> None:
    token = base64.b64encode(given.encode()).decode()
    assert Registry(server.port, token).ask("GET", "/v2/").status == 401


def test_a_layer_in_one_request(registry: Registry, repository: str) -> None:
    path = f"/v2/{repository}/blobs/uploads/?digest={digest(DATA)}"
    done = registry.ask("POST", path, DATA, Content_Type="application/octet-stream")
    assert (done.status, done.headers["location"]) == (201, f"/v2/{repository}/blobs/{digest(DATA)}")
    got = registry.ask("GET", done.headers["location"])
    assert (got.status, got.body, got.headers["docker-content-digest"]) == (200, DATA, digest(DATA))
    head = registry.ask("HEAD", done.headers["location"])
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(DATA)), b"")


def test_a_layer_in_a_post_and_a_put(registry: Registry, repository: str) -> None:
    where = registry.upload(repository)
    done = registry.ask("PUT", f"{where}?digest={digest(DATA)}", DATA)
    assert done.status == 201
    assert registry.ask("GET", done.headers["location"]).body == DATA


def test_a_layer_in_chunks(registry: Registry, repository: str) -> None:
    where = registry.upload(repository)
    first = registry.ask("PATCH", where, DATA[:10], Content_Range="0-9")
    assert (first.status, first.headers["range"]) == (202, "0-9")
    state = registry.ask("GET", where)
    assert (state.status, state.headers["range"]) == (204, "0-9")
    skipped = registry.ask("PATCH", where, DATA[12:14], Content_Range="12-13")
    assert (skipped.status, skipped.code, skipped.headers["range"]) == (416, "BLOB_UPLOAD_INVALID", "0-9")
    registry.ask("PATCH", where, DATA[10:15], Content_Range="10-14")
    done = registry.ask("PUT", f"{where}?digest={digest(DATA)}", DATA[15:], Content_Range=f"15-{len(DATA) - 1}")
    assert done.status == 201
    assert registry.ask("GET", done.headers["location"]).body == DATA
    assert registry.ask("GET", where).code == "BLOB_UPLOAD_UNKNOWN"


def test_chunks_that_come_twice_or_too_soon(registry: Registry, repository: str) -> None:
    where = registry.upload(repository)
    early = registry.ask("PATCH", where, DATA[10:], Content_Range=f"10-{len(DATA) - 1}")
    assert (early.status, early.code) == (416, "BLOB_UPLOAD_INVALID")
    for status in (202, 416):
        assert registry.ask("PATCH", where, DATA[:10], Content_Range="0-9").status == status
    state = registry.ask("GET", where)
    assert (state.status, state.headers["range"], state.headers["location"]) == (204, "0-9", where)
    registry.ask("PATCH", where, DATA[10:], Content_Range=f"10-{len(DATA) - 1}")
    assert registry.ask("PUT", f"{where}?digest={digest(DATA)}").status == 201


def test_a_large_layer_of_unknown_length(registry: Registry, repository: str) -> None:
    """As engines send it: chunked, one PATCH, then a PUT without a body."""
    pieces = [os.urandom(1 << 20) for _ in range(5)]
    whole = b"".join(pieces)
    where = registry.upload(repository)
    assert registry.ask("PATCH", where, iter(pieces)).headers["range"] == f"0-{len(whole) - 1}"
    done = registry.ask("PUT", f"{where}?digest={digest(whole)}")
    assert done.status == 201
    assert registry.ask("GET", done.headers["location"]).body == whole
    part = registry.ask("GET", done.headers["location"], Range="bytes=1000000-2000000")
    assert (part.status, part.body) == (206, whole[1_000_000:2_000_001])
    assert part.headers["content-range"] == f"bytes 1000000-2000000/{len(whole)}"
    assert registry.ask("GET", done.headers["location"], Range=f"bytes={len(whole)}-").status == 416


def test_bytes_of_another_digest(registry: Registry, repository: str) -> None:
    where = registry.upload(repository)
    registry.ask("PATCH", where, DATA)
    wrong = registry.ask("PUT", f"{where}?digest={NOBODYS}")
    assert (wrong.status, wrong.code) == (400, "DIGEST_INVALID")
    assert registry.ask("GET", f"/v2/{repository}/blobs/{NOBODYS}").code == "BLOB_UNKNOWN"
    assert registry.ask("PUT", f"{where}?digest=md5:abc").code == "DIGEST_INVALID"


def test_an_empty_layer(registry: Registry, repository: str) -> None:
    where = registry.upload(repository)
    done = registry.ask("PUT", f"{where}?digest={digest(b'')}")
    assert done.status == 201
    got = registry.ask("GET", done.headers["location"])
    assert (got.status, got.body) == (200, b"")


def test_an_upload_that_is_called_off(registry: Registry, repository: str) -> None:
    where = registry.upload(repository)
    registry.ask("PATCH", where, DATA)
    assert registry.ask("DELETE", where).status == 204
    assert registry.ask("PATCH", where, DATA).code == "BLOB_UPLOAD_UNKNOWN"


def test_a_layer_of_another_repository(registry: Registry, repository: str, ecr: Any) -> None:
    other = f"{repository}-too"
    ecr.create_repository(repositoryName=other)
    registry.push_layer(repository, DATA)
    path = f"/v2/{other}/blobs/uploads/?mount={digest(DATA)}&from={repository}"
    assert registry.ask("POST", path).status == 201
    assert registry.ask("GET", f"/v2/{other}/blobs/{digest(DATA)}").body == DATA
    assert registry.ask("POST", path.partition("&")[0]).status == 202  # from nowhere in particular
    unknown = registry.ask("POST", path.replace(digest(DATA), NOBODYS))
    assert unknown.status == 202
    assert unknown.headers["location"].startswith(f"/v2/{other}/blobs/uploads/")
    ecr.delete_repository(repositoryName=repository, force=True)
    assert registry.ask("GET", f"/v2/{other}/blobs/{digest(DATA)}").body == DATA
    ecr.create_repository(repositoryName=repository)
    assert registry.ask("GET", f"/v2/{repository}/blobs/{digest(DATA)}").status == 404
    ecr.delete_repository(repositoryName=other, force=True)


def test_an_image_by_tag_and_by_digest(registry: Registry, repository: str) -> None:
    named, manifest = registry.push(repository, "v1", DATA)
    for reference in ("v1", named):
        got = registry.ask("GET", f"/v2/{repository}/manifests/{reference}", Accept=OCI_IMAGE)
        assert (got.status, got.body, got.headers["content-type"]) == (200, manifest, OCI_IMAGE)
        assert got.headers["docker-content-digest"] == named
        head = registry.ask("HEAD", f"/v2/{repository}/manifests/{reference}")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(manifest)))
    unknown = registry.ask("GET", f"/v2/{repository}/manifests/v2")
    assert (unknown.status, unknown.code) == (404, "MANIFEST_UNKNOWN")


def test_a_tag_that_moves(registry: Registry, repository: str) -> None:
    before, _ = registry.push(repository, "latest", DATA)
    after, _ = registry.push(repository, "latest", DATA, b"and another")
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/latest").headers["docker-content-digest"] == after
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/{before}").status == 200


def test_an_image_whose_layers_are_not_there(registry: Registry, repository: str) -> None:
    config = registry.push_layer(repository, b"{}")
    document = {"schemaVersion": 2, "config": config, "layers": [descriptor(LAYER, b"nobody's")]}
    put = registry.ask("PUT", f"/v2/{repository}/manifests/v1", json.dumps(document).encode(), Content_Type=OCI_IMAGE)
    assert (put.status, put.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404


@pytest.mark.parametrize(
    ("body", "sent_as"),
    [
        (b"no JSON", OCI_IMAGE),
        (b"[]", OCI_IMAGE),
        (b'{"schemaVersion": 1}', OCI_IMAGE),
        (b'{"schemaVersion": 2, "layers": [], "config": {"digest": "sha256:1", "size": 1}}', OCI_IMAGE),
        (b'{"schemaVersion": 2, "layers": [], "manifests": []}', OCI_INDEX),
        (b'{"schemaVersion": 2, "mediaType": "text/plain", "layers": []}', "text/plain"),
        (b'{"schemaVersion": 2, "mediaType": "text/plain", "layers": []}', OCI_IMAGE),
        (b"[" * 100_000, OCI_IMAGE),
        (index().decode().encode("utf-16"), OCI_INDEX),
        (index(more="?").replace(b"?", b"\xed\xa0\x80"), OCI_INDEX),
        (b" " * (4 * 1024 * 1024 + 1), OCI_IMAGE),
    ],
)
def test_what_is_no_manifest(registry: Registry, repository: str, body: bytes, sent_as: str) -> None:
    put = registry.ask("PUT", f"/v2/{repository}/manifests/v1", body, Content_Type=sent_as)
    assert (put.status, put.code) == (400, "MANIFEST_INVALID")


def test_an_image_without_layers(registry: Registry, repository: str) -> None:
    named, manifest = registry.push(repository, "empty")
    assert json.loads(manifest)["layers"] == []
    assert registry.ask("GET", f"/v2/{repository}/manifests/empty").headers["docker-content-digest"] == named


def test_an_index_of_images(registry: Registry, repository: str) -> None:
    children = [registry.push(repository, "", each) for each in (b"amd64", b"arm64")]
    whole = index(*(manifest for _, manifest in children))
    path = f"/v2/{repository}/manifests/"
    assert registry.ask("PUT", f"{path}all", whole, Content_Type=OCI_INDEX).status == 201
    assert registry.ask("GET", f"{path}all").headers["content-type"] == OCI_INDEX
    kept = registry.ask("DELETE", path + children[0][0])
    assert (kept.status, kept.code) == (409, "DENIED")
    lacking = index(b"nobody's")
    assert registry.ask("PUT", f"{path}none", lacking, Content_Type=OCI_INDEX).code == "MANIFEST_BLOB_UNKNOWN"
    assert registry.ask("DELETE", path + digest(whole)).status == 202
    assert registry.ask("DELETE", path + children[0][0]).status == 202


def test_tags_in_pages(registry: Registry, repository: str) -> None:
    for tag in ("b", "a", "d", "c"):
        registry.push(repository, tag, DATA)
    assert registry.ask("GET", f"/v2/{repository}/tags/list").json() == {"name": repository, "tags": [*"abcd"]}
    first = registry.ask("GET", f"/v2/{repository}/tags/list?n=3")
    assert first.json()["tags"] == ["a", "b", "c"]
    following = first.headers["link"].partition("<")[2].partition(">")[0]
    last = registry.ask("GET", following)
    assert last.json()["tags"] == ["d"]
    assert "link" not in last.headers
    assert registry.ask("GET", f"/v2/{repository}/tags/list?n=2&last=b").json()["tags"] == ["c", "d"]
    assert registry.ask("GET", f"/v2/{repository}/tags/list?n=0").json()["tags"] == []
    assert registry.ask("GET", f"/v2/{repository}/tags/list?n=-1").status == 400


def test_repositories_in_pages(registry: Registry, repository: str, ecr: Any) -> None:
    ecr.create_repository(repositoryName="aa/first")
    page = registry.ask("GET", "/v2/_catalog?n=1")
    assert page.json() == {"repositories": ["aa/first"]}
    names, link = [], "/v2/_catalog?n=1"
    while link:
        page = registry.ask("GET", link)
        names += page.json()["repositories"]
        link = page.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert repository in names
    assert names == sorted(set(names))
    ecr.delete_repository(repositoryName="aa/first")


def test_deleting(registry: Registry, repository: str) -> None:
    named, _ = registry.push(repository, "v1", DATA)
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/v1").status == 202
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/{named}").status == 200
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/{named}").status == 202
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/{named}").code == "MANIFEST_UNKNOWN"
    kept = registry.ask("DELETE", f"/v2/{repository}/blobs/{digest(DATA)}")
    assert (kept.status, kept.code) == (405, "UNSUPPORTED")


def test_what_refers_to_an_image(registry: Registry, repository: str) -> None:
    subject, manifest = registry.push(repository, "v1", DATA)
    path = f"/v2/{repository}/referrers/{subject}"
    assert registry.ask("GET", path).json()["manifests"] == []
    assert registry.ask("GET", f"/v2/{repository}/referrers/{NOBODYS}").json()["manifests"] == []
    about = {**descriptor(OCI_IMAGE, manifest)}
    signed, text = registry.push(
        repository, "", b"signature", subject=about, artifactType="application/x.sign", annotations={"by": "me"}
    )
    registry.push(repository, "", b"contents", subject=about, artifactType="application/x.bom")
    found = registry.ask("GET", path)
    assert (found.headers["content-type"], len(found.json()["manifests"])) == (OCI_INDEX, 2)
    only = registry.ask("GET", f"{path}?artifactType=application/x.sign")
    assert only.headers["oci-filters-applied"] == "artifactType"
    told = {"artifactType": "application/x.sign", "annotations": {"by": "me"}}
    assert only.json()["manifests"] == [{**descriptor(OCI_IMAGE, text), **told}]
    assert signed == digest(text)


def test_a_manifest_with_odd_texts(registry: Registry, repository: str, ecr: Any) -> None:
    subject, manifest = registry.push(repository, "v1", DATA)
    about = descriptor(OCI_IMAGE, manifest)
    for odd in ("a\0b", "\ud800", 7, ["a"]):
        registry.push(repository, "", subject=about, artifactType=odd, annotations={"a": 1, "b": [], "odd": str(odd)})
    listed = registry.ask("GET", f"/v2/{repository}/referrers/{subject}")
    assert (listed.status, len(listed.json()["manifests"])) == (200, 4)
    assert {*listed.json()["manifests"][0]["annotations"]} == {"odd"}
    found = ecr.list_image_referrers(repositoryName=repository, subjectId={"imageDigest": subject})["referrers"]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nobodys/app/tags/list", 404, "NAME_UNKNOWN"),
        ("nobodys/app/manifests/v1", 404, "NAME_UNKNOWN"),
        (f"nobodys/app/blobs/{NOBODYS}", 404, "NAME_UNKNOWN"),
        ("Not/A/Name/tags/list", 400, "NAME_INVALID"),
        ("a%00b/tags/list", 400, "NAME_INVALID"),
        ("nobodys/app/tags/of", 405, "UNSUPPORTED"),
        ("nowhere", 405, "UNSUPPORTED"),
        ("nobodys/app/tags/list?last=%ff", 400, "UNSUPPORTED"),
    ],
)
def test_what_is_not_there(registry: Registry, path: str, status: int, code: str) -> None:
    answer = registry.ask("GET", f"/v2/{path}")
    assert (answer.status, answer.code) == (status, code)


def test_a_registry_by_the_name_that_aws_would_give_it(
    server: WholeServer, registry: Registry, repository: str
) -> None:
    registry.push(repository, "v1", DATA)
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    there = Registry(server.port, registry.headers["Authorization"].removeprefix("Basic "), host)
    assert there.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 200
    assert registry.ask("HEAD", f"/v2/{host}/{repository}/manifests/v1").status == 200
    other = host.replace("us-east-1", "eu-west-1")
    assert registry.ask("GET", f"/v2/{other}/{repository}/manifests/v1").code == "NAME_UNKNOWN"


def test_aws_name_through_the_proxy(server: WholeServer, registry: Registry, repository: str) -> None:
    """As for an engine whose HTTPS_PROXY is the server: it knows the registry by AWS's name alone, over TLS."""
    server.ask("env")
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    trusted = ssl.create_default_context(cafile=str(server.ca))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=trusted)
    connection.set_tunnel(host, 443)
    try:
        connection.request("GET", f"/v2/{repository}/tags/list", headers=registry.headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"name": repository, "tags": []})
    finally:
        connection.close()


def test_buckets_keep_their_keys(server: WholeServer) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="with-registry-keys")
    s3.put_object(Bucket="with-registry-keys", Key="v2/app", Body=DATA)
    assert s3.get_object(Bucket="with-registry-keys", Key="v2/app")["Body"].read() == DATA
    there = Registry(server.port, host="with-registry-keys.s3.localhost").ask("GET", "/v2/app")
    assert (there.status, b"<Code>AccessDenied</Code>" in there.body) == (403, True)
