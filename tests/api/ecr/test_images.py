"""Images by boto3: put, got, described, listed and deleted; layers in parts."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from api.access.people import refusal
from api.ecr.registry import OCI_IMAGE, OCI_INDEX, Registry, descriptor, digest, index

MIB = 1024 * 1024


def test_an_image_is_put_and_got(ecr: Any, registry: Registry, repository: str) -> None:
    text = registry.manifest(repository, b"layer").decode()
    put = ecr.put_image(repositoryName=repository, imageManifest=text, imageTag="v1")["image"]
    named = digest(text.encode())
    assert put["imageId"] == {"imageDigest": named, "imageTag": "v1"}
    got = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}, {"imageTag": "v2"}])
    assert [each["imageManifest"] for each in got["images"]] == [text]
    assert got["images"][0]["imageManifestMediaType"] == OCI_IMAGE
    assert [each["failureCode"] for each in got["failures"]] == ["ImageNotFound"]
    code, _, message = refusal(ecr.put_image, repositoryName=repository, imageManifest=text, imageTag="v1")
    assert code == "ImageAlreadyExistsException"
    assert message.startswith(f"Image with digest '{named}' and tag 'v1' already exists")
    ecr.put_image(repositoryName=repository, imageManifest=text, imageTag="v2")
    assert registry.ask("GET", f"/v2/{repository}/manifests/v2").body == text.encode()


def test_large_manifests_come_a_few_at_a_time(ecr: Any, registry: Registry, repository: str) -> None:
    subject, manifest = registry.push(repository, "v1", b"layer")
    about, wide, kind = descriptor(OCI_IMAGE, manifest), "x" * (4 * MIB - 4096), "application/x+json"
    pushed = {
        registry.push(
            repository, "", subject=about, artifactType=kind, annotations={"wide": wide, "number": str(number)}
        )[0]
        for number in range(5)
    }
    first = registry.ask("GET", f"/v2/{repository}/referrers/{subject}?artifactType={quote(kind)}")
    path, _, _ = first.headers["link"].removeprefix("<").partition(">")
    pages = [first.json()["manifests"], registry.ask("GET", path).json()["manifests"]]
    assert {each["digest"] for page in pages for each in page} == pushed
    asked: dict[str, Any] = {"repositoryName": repository, "subjectId": {"imageDigest": subject}}
    listed = ecr.list_image_referrers(**asked)
    rest = ecr.list_image_referrers(**asked, nextToken=listed["nextToken"])
    assert {each["digest"] for each in (*listed["referrers"], *rest["referrers"])} == pushed
    assert "nextToken" not in rest
    named = [{"imageDigest": each} for each in pushed]
    assert len(ecr.describe_images(repositoryName=repository, imageIds=named)["imageDetails"]) == 5
    code, _, message = refusal(ecr.batch_get_image, repositoryName=repository, imageIds=named)
    assert (code, "ask for fewer" in message) == ("InvalidParameterException", True)
    assert len(ecr.batch_get_image(repositoryName=repository, imageIds=named[:4])["images"]) == 4


def test_images_that_cannot_be_put(ecr: Any, registry: Registry, repository: str) -> None:
    text = registry.manifest(repository, b"layer")

    def put(text: bytes, **more: str) -> str:
        return refusal(ecr.put_image, repositoryName=repository, imageManifest=text.decode(), **more)[0]

    assert put(b"{}") == "InvalidParameterException"
    assert put(text, imageTag="no tag") == "InvalidParameterException"
    assert put(text, imageDigest=digest(b"another")) == "ImageDigestDoesNotMatchException"
    document = json.loads(text)
    assert put(json.dumps({**document, "layers": [{"digest": digest(b"no"), "size": 2}]}).encode()) == (
        "LayersNotFoundException"
    )
    assert put(index(b"nobody's")) == "ReferencedImagesNotFoundException"
    del document["mediaType"]
    assert put(json.dumps(document).encode()) == "InvalidParameterException"
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(document), imageManifestMediaType=OCI_IMAGE)


def test_images_described(ecr: Any, registry: Registry, repository: str) -> None:
    first, manifest = registry.push(repository, "v1", b"layer" * 100)
    registry.push(repository, "stable", b"layer" * 100)
    second, _ = registry.push(repository, "", b"other")
    ecr.put_image(repositoryName=repository, imageManifest=index(manifest).decode(), imageTag="all")
    found = {each["imageDigest"]: each for each in ecr.describe_images(repositoryName=repository)["imageDetails"]}
    assert len(found) == 3
    assert found[first]["imageTags"] == ["stable", "v1"]
    sizes = [each["size"] for each in (json.loads(manifest)["config"], *json.loads(manifest)["layers"])]
    assert found[first]["imageSizeInBytes"] == sum(sizes)
    assert found[digest(index(manifest))]["imageSizeInBytes"] == sum(sizes)
    assert found[digest(index(manifest))]["imageManifestMediaType"] == OCI_INDEX
    assert "imageTags" not in found[second]
    untagged = ecr.describe_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageDetails"]
    assert [each["imageDigest"] for each in untagged] == [second]
    one = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert one == [found[first]]
    assert "lastRecordedPullTime" not in one[0]
    registry.ask("GET", f"/v2/{repository}/manifests/v1")
    pulled = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
    assert "lastRecordedPullTime" in pulled
    missing = refusal(ecr.describe_images, repositoryName=repository, imageIds=[{"imageTag": "v9"}])
    assert missing[0] == "ImageNotFoundException"


def test_images_listed_in_pages(ecr: Any, registry: Registry, repository: str) -> None:
    first, _ = registry.push(repository, "a", b"1")
    registry.push(repository, "b", b"1")
    second, _ = registry.push(repository, "", b"2")
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository, PaginationConfig={"PageSize": 1})
    found = [each for page in pages for each in page["imageIds"]]
    wanted = [
        {"imageDigest": first, "imageTag": "a"},
        {"imageDigest": first, "imageTag": "b"},
        {"imageDigest": second},
    ]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    tagged = ecr.list_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})["imageIds"]
    assert tagged == wanted[:2]


def test_images_are_deleted(ecr: Any, registry: Registry, repository: str) -> None:
    first, manifest = registry.push(repository, "a", b"1")
    registry.push(repository, "b", b"1")

    def delete(*identities: dict[str, str]) -> Any:
        return ecr.batch_delete_image(repositoryName=repository, imageIds=list(identities))

    assert delete({"imageTag": "a"})["imageIds"] == [{"imageDigest": first, "imageTag": "a"}]
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/{first}").status == 200
    ecr.put_image(repositoryName=repository, imageManifest=index(manifest).decode(), imageTag="all")
    failed = delete({"imageDigest": first}, {"imageTag": "z"}, {"imageDigest": "sha256:1"}, {})["failures"]
    codes = ["ImageReferencedByManifestList", "ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag"]
    assert [each["failureCode"] for each in failed] == codes
    delete({"imageTag": "all"})
    assert delete({"imageDigest": first})["imageIds"] == [{"imageDigest": first, "imageTag": "b"}]
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_what_refers_to_an_image(ecr: Any, registry: Registry, repository: str) -> None:
    subject, manifest = registry.push(repository, "v1", b"1")
    about = {"mediaType": OCI_IMAGE, "digest": subject, "size": len(manifest)}
    signed, _ = registry.push(repository, "", b"2", subject=about, artifactType="application/x.sign")
    found = ecr.list_image_referrers(repositoryName=repository, subjectId={"imageDigest": subject})["referrers"]
    assert [(each["digest"], each["artifactType"]) for each in found] == [(signed, "application/x.sign")]


def test_a_layer_in_parts(ecr: Any, registry: Registry, repository: str) -> None:
    data = bytes(5 * MIB) + b"the end"
    upload = ecr.initiate_layer_upload(repositoryName=repository)
    assert upload["partSize"] == 10 * MIB
    where: dict[str, Any] = {"repositoryName": repository, "uploadId": upload["uploadId"]}
    part = ecr.upload_layer_part(**where, partFirstByte=0, partLastByte=5 * MIB - 1, layerPartBlob=data[: 5 * MIB])
    assert part["lastByteReceived"] == 5 * MIB - 1
    again = refusal(ecr.upload_layer_part, **where, partFirstByte=0, partLastByte=0, layerPartBlob=b"x")
    assert again[0] == "InvalidLayerPartException"
    ecr.upload_layer_part(**where, partFirstByte=5 * MIB, partLastByte=len(data) - 1, layerPartBlob=data[5 * MIB :])
    assert ecr.complete_layer_upload(**where, layerDigests=[digest(data)])["layerDigest"] == digest(data)
    assert registry.ask("GET", f"/v2/{repository}/blobs/{digest(data)}").body == data
    there = ecr.batch_check_layer_availability(
        repositoryName=repository, layerDigests=[digest(data), digest(b"no"), "none"]
    )
    assert [each["layerAvailability"] for each in there["layers"]] == ["AVAILABLE", "UNAVAILABLE"]
    assert [each["failureCode"] for each in there["failures"]] == ["InvalidLayerDigest"]


@pytest.mark.parametrize(
    ("parts", "code"),
    [([], "EmptyUploadException"), ([b"a", b"b"], "LayerPartTooSmallException"), ([b"a"], "InvalidLayerException")],
)
def test_layers_that_do_not_come_whole(ecr: Any, repository: str, parts: list[bytes], code: str) -> None:
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    where = {"repositoryName": repository, "uploadId": upload}
    for number, data in enumerate(parts):
        ecr.upload_layer_part(**where, partFirstByte=number, partLastByte=number, layerPartBlob=data)
    assert refusal(ecr.complete_layer_upload, **where, layerDigests=[digest(b"another")])[0] == code
    gone = {**where, "uploadId": "00000000-0000-0000-0000-000000000000"}
    assert refusal(ecr.complete_layer_upload, **gone, layerDigests=[digest(b"a")])[0] == "UploadNotFoundException"
