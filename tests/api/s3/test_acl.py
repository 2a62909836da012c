"""Object ownership and access control lists: none by default; where they count, what they let whom do."""

from __future__ import annotations

from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.s3.conftest import ALT, MAIN, Aws
from api.s3.faults import refused
from clary.auth.principals import canonical_id

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
OPEN = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)


def own(s3: Any, bucket: str, ownership: str) -> None:
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})


@pytest.fixture
def listed(s3: Any, bucket: str) -> str:
    """A bucket where lists count and may be public."""
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=OPEN)
    own(s3, bucket, "ObjectWriter")
    return bucket


def grants(answer: Any) -> set[tuple[str, str]]:
    return {(each["Grantee"].get("ID") or each["Grantee"]["URI"], each["Permission"]) for each in answer["Grants"]}


def test_ownership_controls(s3: Any, bucket: str) -> None:
    def found() -> str:
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        return str(rules[0]["ObjectOwnership"])

    assert found() == "BucketOwnerEnforced"
    for ownership in ("ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced"):
        own(s3, bucket, ownership)
        assert found() == ownership
    with refused("MalformedXML", 400):
        own(s3, bucket, "Nobody")
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    with refused("OwnershipControlsNotFoundError", 404):
        found()
    s3.create_bucket(Bucket="written-by-others", ObjectOwnership="ObjectWriter")


def test_no_lists_by_default(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", ACL="bucket-owner-full-control")
    for call in (
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"", ACL="public-read"),
        lambda: s3.copy_object(Bucket=bucket, Key="l", CopySource=f"{bucket}/k", ACL="public-read"),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key="k", GrantRead=f'uri="{ALL_USERS}"'),
        lambda: s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read"),
        lambda: s3.put_bucket_acl(Bucket=bucket, ACL="private"),
    ):
        with refused("AccessControlListNotSupported", 400):
            call()
    assert grants(s3.get_bucket_acl(Bucket=bucket)) == {(canonical_id(MAIN), "FULL_CONTROL")}
    assert grants(s3.get_object_acl(Bucket=bucket, Key="k")) == {(canonical_id(MAIN), "FULL_CONTROL")}


def test_buckets_made_with_lists(s3: Any) -> None:
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        s3.create_bucket(Bucket="made-public", ACL="public-read")
    with refused("InvalidBucketAclWithBlockPublicAccessError", 400):
        s3.create_bucket(Bucket="made-public", ACL="public-read", ObjectOwnership="ObjectWriter")
    reader = f'id="{canonical_id(ALT)}"'
    s3.create_bucket(Bucket="made-public", GrantRead=reader, ObjectOwnership="ObjectWriter")
    assert grants(s3.get_bucket_acl(Bucket="made-public")) == {(canonical_id(ALT), "READ")}
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        own(s3, "made-public", "BucketOwnerEnforced")


def test_canned_lists(s3: Any, listed: str) -> None:
    owner = (canonical_id(MAIN), "FULL_CONTROL")
    for name, more in {
        "private": set(),
        "public-read": {(ALL_USERS, "READ")},
        "public-read-write": {(ALL_USERS, "READ"), (ALL_USERS, "WRITE")},
        "authenticated-read": {(AUTHENTICATED, "READ")},
    }.items():
        s3.put_bucket_acl(Bucket=listed, ACL=name)
        assert grants(s3.get_bucket_acl(Bucket=listed)) == {owner, *more}
        s3.put_object(Bucket=listed, Key="k", Body=b"", ACL=name)
        assert grants(s3.get_object_acl(Bucket=listed, Key="k")) == {owner, *more}
    with refused("InvalidArgument", 400):
        s3.put_bucket_acl(Bucket=listed, ACL="public")
    with refused("NotImplemented", 501):
        s3.put_bucket_acl(Bucket=listed, ACL="aws-exec-read")


def test_lists_that_are_none(s3: Any, listed: str) -> None:
    with refused("InvalidArgument", 400):
        s3.put_bucket_acl(Bucket=listed, GrantRead='id="nobody"')
    with refused("UnresolvableGrantByEmailAddress", 400):
        s3.put_bucket_acl(Bucket=listed, GrantRead='emailAddress="a@example.com"')
    with refused("InvalidArgument", 400):
        s3.put_bucket_acl(Bucket=listed, GrantRead='uri="http://example.com"')
    with refused("InvalidRequest", 400):
        s3.put_bucket_acl(Bucket=listed, ACL="private", GrantRead=f'id="{canonical_id(ALT)}"')
    with refused("MissingSecurityHeader", 400):
        s3.put_bucket_acl(Bucket=listed)


def test_what_a_bucket_grants(aws: Aws, s3: Any, listed: str) -> None:
    s3.put_object(Bucket=listed, Key="k", Body=b"data")
    alt, anonymous = aws("s3", key="ALT"), aws("s3", key="")
    with refused("AccessDenied", 403):
        alt.list_objects_v2(Bucket=listed)
    s3.put_bucket_acl(Bucket=listed, ACL="authenticated-read")
    assert alt.list_objects_v2(Bucket=listed)["KeyCount"] == 1
    with refused("AccessDenied", 403):
        anonymous.list_objects_v2(Bucket=listed)
    s3.put_bucket_acl(Bucket=listed, ACL="public-read")
    assert anonymous.list_objects_v2(Bucket=listed)["KeyCount"] == 1
    for each in (alt, anonymous):
        with refused("AccessDenied", 403):
            each.get_object(Bucket=listed, Key="k")  # a bucket's list says nothing of its objects
        with refused("AccessDenied", 403):
            each.put_object(Bucket=listed, Key="k", Body=b"")


def test_what_an_object_grants(aws: Aws, s3: Any, listed: str) -> None:
    alt, anonymous = aws("s3", key="ALT"), aws("s3", key="")
    s3.put_object(Bucket=listed, Key="a*", Body=b"data", ACL="public-read")
    s3.put_object(Bucket=listed, Key="ab", Body=b"data", GrantRead=f'id="{canonical_id(ALT)}"')
    assert anonymous.get_object(Bucket=listed, Key="a*")["Body"].read() == b"data"
    assert alt.get_object(Bucket=listed, Key="ab")["Body"].read() == b"data"
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=listed, Key="ab")
    with refused("AccessDenied", 403):
        alt.get_object_acl(Bucket=listed, Key="ab")
    s3.put_public_access_block(Bucket=listed, PublicAccessBlockConfiguration={**OPEN, "IgnorePublicAcls": True})
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=listed, Key="a*")
    assert alt.get_object(Bucket=listed, Key="ab")["Body"].read() == b"data"
    s3.put_public_access_block(Bucket=listed, PublicAccessBlockConfiguration={**OPEN, "BlockPublicAcls": True})
    with refused("AccessDenied", 403):
        s3.put_object_acl(Bucket=listed, Key="ab", ACL="public-read")
    own(s3, listed, "BucketOwnerEnforced")
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=listed, Key="a*")


def test_objects_of_others(aws: Aws, s3: Any, listed: str) -> None:
    alt = aws("s3", key="ALT")
    s3.put_bucket_acl(Bucket=listed, ACL="public-read-write")
    alt.put_object(Bucket=listed, Key="theirs", Body=b"data")
    assert s3.list_objects_v2(Bucket=listed)["KeyCount"] == 1
    assert alt.get_object(Bucket=listed, Key="theirs")["Body"].read() == b"data"
    assert alt.get_object_acl(Bucket=listed, Key="theirs")["Owner"] == {"ID": canonical_id(ALT)}
    with refused("AccessDenied", 403):
        s3.get_object(Bucket=listed, Key="theirs")
    alt.put_object_acl(Bucket=listed, Key="theirs", ACL="bucket-owner-read")
    assert s3.get_object(Bucket=listed, Key="theirs")["Body"].read() == b"data"
    own(s3, listed, "BucketOwnerPreferred")
    alt.put_object(Bucket=listed, Key="given", Body=b"data", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=listed, Key="given")["Owner"] == {"ID": canonical_id(MAIN)}
    s3.delete_object(Bucket=listed, Key="theirs")


def test_lists_of_versions(aws: Aws, s3: Any, listed: str) -> None:
    anonymous = aws("s3", key="")
    s3.put_bucket_versioning(Bucket=listed, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=listed, Key="k", Body=b"1", ACL="public-read")["VersionId"]
    second = s3.put_object(Bucket=listed, Key="k", Body=b"2")["VersionId"]
    assert anonymous.get_object(Bucket=listed, Key="k", VersionId=first)["Body"].read() == b"1"
    for version in ({}, {"VersionId": second}):
        with refused("AccessDenied", 403):
            anonymous.get_object(Bucket=listed, Key="k", **version)
    s3.put_object_acl(Bucket=listed, Key="k", VersionId=second, ACL="public-read")
    assert anonymous.get_object(Bucket=listed, Key="k")["Body"].read() == b"2"
    s3.put_object_acl(Bucket=listed, Key="k", VersionId=first, ACL="private")
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=listed, Key="k", VersionId=first)


def status(server: SimpleNamespace, method: str, target: str, **headers: str) -> int:
    """What somebody without a key is answered who words the request himself."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_the_list_that_counts_is_of_the_version_that_is_served(s3: Any, server: SimpleNamespace, listed: str) -> None:
    s3.put_bucket_versioning(Bucket=listed, VersioningConfiguration={"Status": "Enabled"})
    public = s3.put_object(Bucket=listed, Key="k", Body=b"1", ACL="public-read")["VersionId"]
    private = s3.put_object(Bucket=listed, Key="k", Body=b"2")["VersionId"]
    elsewhere = f"x/y?versionId={public}"
    assert status(server, "GET", f"/{listed}/k?versionId={public}") == 200
    assert status(server, "GET", f"/{listed}/k", x_amz_copy_source=elsewhere) == 403
    assert status(server, "GET", f"/{listed}/k?versionId={private}&versionId={public}") == 403
    assert status(server, "GET", f"/{listed}/k?version%49d={private}&versionId={public}") == 403
    assert status(server, "GET", f"/{listed}/k?version%49d={private}", x_amz_copy_source=elsewhere) == 403
    s3.put_object(Bucket=listed, Key="k", Body=b"3", ACL="public-read")
    assert status(server, "GET", f"/{listed}/k?version%49d={private}") == 403
    assert status(server, "GET", f"/{listed}/k?versionId=&version%49d={private}") == 403


def test_what_lets_write_into_a_bucket_lets_nobody_set_lists_of_what_is_there(
    aws: Aws, s3: Any, server: SimpleNamespace, listed: str
) -> None:
    alt, whoever = aws("s3", key="ALT"), {"x_amz_acl": "public-read"}
    s3.put_object(Bucket=listed, Key="k", Body=b"data")
    s3.put_bucket_acl(Bucket=listed, ACL="public-read-write")
    for more in ({}, {"x_amz_copy_source": "x/y?versionId=zz"}):
        assert status(server, "PUT", f"/{listed}/k?acl", **whoever, **more) == 403
        assert status(server, "GET", f"/{listed}/k", **more) == 403
    for given in ({"Key": "none"}, {"Key": "k", "VersionId": "none"}):
        with refused("AccessDenied", 403):
            alt.put_object_acl(Bucket=listed, ACL="public-read", **given)
    alt.put_object(Bucket=listed, Key="k", Body=b"new", ACL="public-read")  # a new object, with a list of its own
    assert status(server, "GET", f"/{listed}/k") == 200


def test_a_copy_is_judged_by_the_version_that_it_reads(aws: Aws, s3: Any, listed: str) -> None:
    alt = aws("s3", key="ALT")
    alt.create_bucket(Bucket="copies-of-versions")
    s3.put_bucket_versioning(Bucket=listed, VersioningConfiguration={"Status": "Enabled"})
    public = s3.put_object(Bucket=listed, Key="k", Body=b"1", ACL="public-read")["VersionId"]
    private = s3.put_object(Bucket=listed, Key="k", Body=b"2")["VersionId"]
    copy = {"Bucket": "copies-of-versions", "Key": "k", "CopySource": f"{listed}/k"}
    alt.copy_object(**{**copy, "CopySource": f"{listed}/k?versionId={public}"})
    for source in (copy["CopySource"], f"{listed}/k?versionId={private}"):
        with refused("AccessDenied", 403):
            alt.copy_object(**{**copy, "CopySource": source})


def test_a_list_in_the_body(s3: Any, listed: str) -> None:
    policy = {
        "Owner": {"ID": canonical_id(MAIN)},
        "Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": canonical_id(ALT)}, "Permission": "READ_ACP"}],
    }
    s3.put_bucket_acl(Bucket=listed, AccessControlPolicy=policy)
    assert grants(s3.get_bucket_acl(Bucket=listed)) == {(canonical_id(ALT), "READ_ACP")}
    with refused("AccessDenied", 403):
        s3.put_bucket_acl(Bucket=listed, AccessControlPolicy={**policy, "Owner": {"ID": canonical_id(ALT)}})
    policy["Grants"][0]["Permission"] = "EVERYTHING"  # type: ignore[index] # plain JSON
    with refused("MalformedXML", 400):
        s3.put_bucket_acl(Bucket=listed, AccessControlPolicy=policy)
