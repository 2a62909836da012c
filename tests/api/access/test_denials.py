"""Who may not is told so in AWS's words, before anything of the operation is done."""

from __future__ import annotations

import pytest

from api.access.people import ACCOUNT, Person, allow, client, document, refusal, role, unique
from flows.jobs import IMAGE
from whole_server import WholeServer


@pytest.fixture(scope="module")
def bucket(server: WholeServer) -> str:
    name, s3 = unique("b"), server.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="seen", Body=b"data")
    s3.put_object(Bucket=name, Key="open/seen", Body=b"data")
    return name


@pytest.fixture(scope="module")
def nobody(server: WholeServer) -> Person:
    return Person(server)


def words(person: Person, action: str, resource: str) -> str:
    return (
        f"User: {person.arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def test_s3(nobody: Person, bucket: str) -> None:
    s3 = nobody.client("s3")
    told = words(nobody, "s3:GetObject", f'"arn:aws:s3:::{bucket}/seen"')
    assert refusal(s3.get_object, Bucket=bucket, Key="seen") == ("AccessDenied", 403, told)
    told = words(nobody, "s3:ListBucket", f'"arn:aws:s3:::{bucket}"')
    assert refusal(s3.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403, told)
    assert refusal(s3.head_object, Bucket=bucket, Key="seen")[:2] == ("403", 403)
    assert refusal(s3.list_buckets)[0] == "AccessDenied"
    assert refusal(s3.get_object, Bucket=unique("gone"), Key="k")[:2] == ("NoSuchBucket", 404)


def test_sagemaker(nobody: Person) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/x"
    told = words(nobody, "sagemaker:DescribeTrainingJob", arn)
    found = refusal(nobody.client("sagemaker").describe_training_job, TrainingJobName="x")
    assert found == ("AccessDeniedException", 400, told)
    listed = refusal(nobody.client("sagemaker").list_models)
    assert listed == ("AccessDeniedException", 400, words(nobody, "sagemaker:ListModels", "*"))


def test_logs_iam_and_sts(nobody: Person) -> None:
    streams = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:g:log-stream:"
    found = refusal(nobody.client("logs").describe_log_streams, logGroupName="g")
    assert found == ("AccessDeniedException", 400, words(nobody, "logs:DescribeLogStreams", streams))
    found = refusal(nobody.client("iam").get_user, UserName=nobody.name)
    assert found == ("AccessDenied", 403, words(nobody, "iam:GetUser", nobody.arn))
    assert nobody.client("sts").get_caller_identity()["Arn"] == nobody.arn
    assert nobody.client("sts").get_session_token()["Credentials"]


def test_invocations(server: WholeServer, nobody: Person) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/e"
    asked = {"EndpointName": "e", "Body": b"1"}
    found = refusal(nobody.client("sagemaker-runtime").invoke_endpoint, **asked)
    assert found == ("AccessDeniedException", 400, words(nobody, "sagemaker:InvokeEndpoint", arn))
    caller = Person(server, allow("sagemaker:InvokeEndpoint", on=arn))
    assert refusal(caller.client("sagemaker-runtime").invoke_endpoint, **asked)[0] == "ValidationError"
    asked["EndpointName"] = "f"
    assert refusal(caller.client("sagemaker-runtime").invoke_endpoint, **asked)[0] == "AccessDeniedException"


def test_invocations_by_their_headers(server: WholeServer) -> None:
    """What an edge keeps of one request is not for another that the policy tells from it."""
    agent = {"StringLike": {"aws:UserAgent": "*our-tool*", "sagemaker:TargetModel": "a*"}}
    person = Person(server, allow("sagemaker:InvokeEndpoint", Condition=agent))
    ours = person.client("sagemaker-runtime", user_agent_extra="our-tool/1").invoke_endpoint
    others, asked = person.client("sagemaker-runtime").invoke_endpoint, {"EndpointName": "e", "Body": b"1"}
    for _ in range(3):
        assert refusal(ours, TargetModel="a.tar.gz", **asked)[0] == "ValidationError", "there is no such endpoint"
        assert refusal(others, TargetModel="a.tar.gz", **asked)[0] == "AccessDeniedException"
        assert refusal(ours, TargetModel="b.tar.gz", **asked)[0] == "AccessDeniedException"
        assert refusal(ours, **asked)[0] == "AccessDeniedException"


def test_an_object_is_missing_only_for_whom_may_list(server: WholeServer, bucket: str) -> None:
    reader = Person(server, allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*"))
    code, _, told = refusal(reader.client("s3").get_object, Bucket=bucket, Key="hidden")
    assert (code, told) == ("AccessDenied", words(reader, "s3:ListBucket", f'"arn:aws:s3:::{bucket}"'))
    reader.may(allow("s3:GetObject", "s3:ListBucket"))
    assert refusal(reader.client("s3").get_object, Bucket=bucket, Key="hidden")[0] == "NoSuchKey"


def test_each_key_of_many_is_asked_for(server: WholeServer, bucket: str) -> None:
    person = Person(server, allow("s3:DeleteObject", on=f"arn:aws:s3:::{bucket}/open/*"))
    keys = [{"Key": "open/seen"}, {"Key": "seen"}]
    answer = person.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": keys})
    assert [each["Key"] for each in answer["Deleted"]] == ["open/seen"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("seen", "AccessDenied")]


def test_each_key_of_many_is_asked_for_as_if_alone(server: WholeServer, bucket: str) -> None:
    root = server.client("s3")
    for key, kind in (("old", "draft"), ("new", "final")):
        root.put_object(Bucket=bucket, Key=key, Body=b"", Tagging=f"kind={kind}")
    drafts = allow("s3:DeleteObject*", Condition={"StringEquals": {"s3:ExistingObjectTag/kind": "draft"}})
    version = {"StringEquals": {"s3:VersionId": "null"}}
    person = Person(server, drafts, {**allow("s3:DeleteObjectVersion", Condition=version), "Effect": "Deny"})
    keys = [{"Key": "old", "VersionId": "null"}, {"Key": "new"}, {"Key": "old"}]
    answer = person.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": keys})
    assert answer["Deleted"] == [{"Key": "old"}]
    assert [each["Key"] for each in answer["Errors"]] == ["old", "new"]
    signed = {"StringEquals": {"s3:authType": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256"}}
    person.may({**allow("s3:DeleteObject", Condition=signed), "Effect": "Deny"}, allow("s3:DeleteObject"))
    answer = person.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "new"}]})
    assert [each["Code"] for each in answer["Errors"]] == ["AccessDenied"]


def test_a_copy_reads_its_source(server: WholeServer, bucket: str) -> None:
    person = Person(server, allow("s3:PutObject"))
    asked = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "seen"}}
    code, _, told = refusal(person.client("s3").copy_object, **asked)
    assert (code, told) == ("AccessDenied", words(person, "s3:GetObject", f'"arn:aws:s3:::{bucket}/seen"'))


def test_a_copy_that_carries_tags_reads_and_writes_them(server: WholeServer, bucket: str) -> None:
    server.client("s3").put_object(Bucket=bucket, Key="tagged", Body=b"", Tagging="kind=secret")
    person = Person(server, allow("s3:GetObject", "s3:PutObject"))
    s3, copy = person.client("s3"), {"Bucket": bucket, "Key": "copied"}
    tagged = {**copy, "CopySource": {"Bucket": bucket, "Key": "tagged"}}
    s3.copy_object(**copy, CopySource={"Bucket": bucket, "Key": "seen"})
    s3.copy_object(**tagged, TaggingDirective="REPLACE")
    reading = words(person, "s3:GetObjectTagging", f'"arn:aws:s3:::{bucket}/tagged"')
    assert refusal(s3.copy_object, **tagged) == ("AccessDenied", 403, reading)
    open_only = {"StringEquals": {"s3:RequestObjectTag/kind": "open"}}
    may = allow("s3:GetObject", "s3:PutObject", "s3:GetObjectTagging")
    person.may(may, allow("s3:PutObjectTagging", Condition=open_only))
    writing = words(person, "s3:PutObjectTagging", f'"arn:aws:s3:::{bucket}/copied"')
    for more in ({}, {"Tagging": "kind=open"}, {"Tagging": "kind=open", "TaggingDirective": "COPY"}):
        assert refusal(s3.copy_object, **tagged, **more) == ("AccessDenied", 403, writing)
    s3.copy_object(**tagged, Tagging="kind=open", TaggingDirective="REPLACE")
    person.may(may, allow("s3:PutObjectTagging"))
    s3.copy_object(**tagged)


def test_a_bucket_that_is_made_with_a_list(server: WholeServer) -> None:
    person, name = Person(server, allow("s3:CreateBucket", "s3:PutBucketOwnershipControls")), unique("b")
    s3, asked = person.client("s3"), {"Bucket": name, "ObjectOwnership": "ObjectWriter"}
    grant = f'id="{server.client("s3").list_buckets()["Owner"]["ID"]}"'
    told = words(person, "s3:PutBucketAcl", f'"arn:aws:s3:::{name}"')
    for more in ({"GrantRead": grant}, {"GrantWrite": grant}, {"ACL": "authenticated-read"}):
        assert refusal(s3.create_bucket, **asked, **more) == ("AccessDenied", 403, told)
    s3.create_bucket(**asked, ACL="private")
    person.may(allow("s3:CreateBucket", "s3:PutBucketOwnershipControls", "s3:PutBucketAcl"))
    s3.create_bucket(**{**asked, "Bucket": unique("b")}, GrantRead=grant)


def test_conditions_on_what_is_asked(server: WholeServer, bucket: str) -> None:
    listing = allow("s3:ListBucket", Condition={"StringLike": {"s3:prefix": "open/*"}})
    here = allow("s3:GetObject", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})
    person = Person(server, listing, here)
    s3 = person.client("s3")
    assert s3.list_objects_v2(Bucket=bucket, Prefix="open/x")["KeyCount"] == 0
    assert refusal(s3.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="seen")["Body"].read() == b"data"
    person.may(allow("s3:GetObject", Condition={"Bool": {"aws:SecureTransport": "true"}}))
    assert refusal(s3.get_object, Bucket=bucket, Key="seen")[0] == "AccessDenied"


def test_a_change_counts_at_once(server: WholeServer, bucket: str) -> None:
    person = Person(server)
    s3 = person.client("s3")
    for _ in range(5):
        assert refusal(s3.get_object, Bucket=bucket, Key="seen")[0] == "AccessDenied"
        person.may(allow("s3:GetObject"))
        assert s3.get_object(Bucket=bucket, Key="seen")
        person.may({**allow("s3:GetObject"), "Effect": "Deny"})
    assert refusal(s3.get_object, Bucket=bucket, Key="seen")[2].endswith(
        "with an explicit deny in an identity-based policy"
    )


def test_sessions_are_narrowed_by_their_policies(server: WholeServer, bucket: str) -> None:
    arn = role(server, allow("s3:*"))
    narrow = document(allow("s3:GetObject"))
    given = server.client("sts").assume_role
    if server.client("sts").get_caller_identity()["Arn"].endswith(":root"):  # the root assumes no roles
        person = Person(server, allow("sts:AssumeRole", on=arn))
        given = person.client("sts").assume_role
    made = given(RoleArn=arn, RoleSessionName="me", Policy=narrow)["Credentials"]
    s3 = client(server, "s3", (made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]))
    assert s3.get_object(Bucket=bucket, Key="seen")
    told = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"")[2]
    assert told.endswith("because no session policy allows the s3:PutObject action")


def test_a_boundary_narrows(server: WholeServer, bucket: str) -> None:
    person = Person(server, allow("s3:*"))
    iam = server.client("iam")
    limit = iam.create_policy(PolicyName=unique("limit"), PolicyDocument=document(allow("s3:Get*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=person.name, PermissionsBoundary=limit)
    assert person.client("s3").get_object(Bucket=bucket, Key="seen")
    told = refusal(person.client("s3").delete_object, Bucket=bucket, Key="seen")[2]
    assert told.endswith("because no permissions boundary allows the s3:DeleteObject action")


def model(person: Person, arn: str) -> dict[str, object]:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://sagemaker/model.tar.gz"}
    return {"ModelName": unique("m"), "ExecutionRoleArn": arn, "PrimaryContainer": container}


def test_roles_have_to_be_passed_and_to_trust(server: WholeServer) -> None:
    person = Person(server, allow("sagemaker:*"))
    sagemaker, trusting, other = person.client("sagemaker"), role(server), role(server, trusted={"AWS": "*"})
    found = refusal(sagemaker.create_model, **model(person, trusting))
    assert found == ("AccessDeniedException", 400, words(person, "iam:PassRole", trusting))
    to = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    person.may(allow("sagemaker:*"), allow("iam:PassRole", Condition=to))
    assert sagemaker.create_model(**model(person, trusting))["ModelArn"]
    code, status, told = refusal(sagemaker.create_model, **model(person, other))
    assert (code, status) == ("ValidationException", 400)
    assert told.startswith(f"Could not assume role {other}. Please ensure that the role exists and allows principal")
    foreign = trusting.replace(ACCOUNT, "210987654321")
    assert refusal(sagemaker.create_model, **model(person, foreign))[2] == "Cross-account pass role is not allowed."
    person.may(allow("sagemaker:*"), allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "x"}}))
    assert refusal(sagemaker.create_model, **model(person, trusting))[0] == "AccessDeniedException"


def test_tags_of_the_request_decide(server: WholeServer) -> None:
    arn = role(server)
    tagged = {"StringEquals": {"aws:RequestTag/team": "a"}}
    creating = allow("sagemaker:CreateModel", "sagemaker:AddTags", Condition=tagged)
    person = Person(server, creating, allow("iam:PassRole"))
    sagemaker = person.client("sagemaker")
    assert refusal(sagemaker.create_model, **model(person, arn))[0] == "AccessDeniedException"
    sagemaker.create_model(**model(person, arn), Tags=[{"Key": "team", "Value": "a"}])
