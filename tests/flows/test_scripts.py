"""Training with scripts of one's own: with the estimators of the SDK, and the contract in its corners with boto3."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from flows import jobs
from flows.scripts import archive, invoke, model, serve, train
from image_environment import shared_data
from whole_server import ROOT, Done, WholeServer, wait_until

EXAMPLE = ROOT / "examples" / "bank_marketing"

pytestmark = pytest.mark.timeout(300)  # the first job may have to build an environment


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute where nothing else runs; the SDK's imports alone take one where much does
def test_the_example_with_the_sdk(run_client: Callable[..., Done]) -> None:
    data = shared_data("bank-marketing") / "bank-additional.csv.gz"
    done = run_client("sdk2", "python", str(EXAMPLE / "story.py"), str(data), timeout=560)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Framework version 1.2-1 is not offered; this runs on scikit-learn" in done.stdout
    assert "824 rows in new.csv" in done.stdout
    assert "200 of 200 answers are the script's own" in done.stdout
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("{'test:accuracy'")]
    assert 0.85 < float(told.partition(": ")[2].rstrip("}")) < 1


@pytest.mark.slow
def test_the_example_as_in_a_notebook(run_client: Callable[..., Done]) -> None:
    """Nothing but S3 is the server's. The figures are the data's own: those of scikit-learn without any server."""
    data = shared_data("bank-marketing") / "bank-additional-full.csv.gz"
    done = run_client("sdk2", "python", str(EXAMPLE / "notebook.py"), str(data), timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "41188 rows of 21 columns, of whom 11.3% subscribed" in done.stdout
    (accuracy,) = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("accuracy")]
    assert accuracy == ["accuracy", "0.9154", "8238"]
    assert "confusion [[7125, 194], [503, 416]]" in done.stdout
    assert "new.csv: 8238 rows, 100% predicted alike by model.pkl" in done.stdout


TELLS = """
import json, os, sys
with open(os.path.join(os.environ["SM_MODEL_DIR"], "told.json"), "w") as file:
    json.dump({"arguments": sys.argv[1:], "variables": dict(os.environ), "folder": os.getcwd()}, file)
"""


def test_hyperparameters_arrive_as_arguments_and_as_variables(server: WholeServer) -> None:
    given = {"b": "1.5", "epochs": "3", "name": '"x y"', "flags": "[1, 2]", "deep": '{"k": true}', "raw": "as is"}
    job = train(server, {"tell.py": TELLS}, given | {"sagemaker_job_name": '"j"', "sagemaker_extra": "7"})
    told = json.loads(model(server, job)["told.json"])
    assert told["arguments"] == [
        *("-b", "1.5", "--deep", "k=True", "--epochs", "3", "--flags", "[1, 2]", "--name", "x y", "--raw", "as is")
    ]
    seen = told["variables"]
    assert (seen["SM_HP_NAME"], seen["SM_HP_EPOCHS"], seen["SM_HP_DEEP"]) == ("x y", "3", '{"k":true}')
    assert json.loads(seen["SM_HPS"])["epochs"] == 3
    assert json.loads(seen["SM_USER_ARGS"]) == told["arguments"]
    assert json.loads(seen["SM_FRAMEWORK_PARAMS"]) == {"sagemaker_extra": 7}
    assert (seen["SM_MODULE_NAME"], seen["SM_USER_ENTRY_POINT"]) == ("tell", "tell.py")
    assert (told["folder"], seen["SM_MODEL_DIR"]) == ("/opt/ml/code", "/opt/ml/model")
    assert seen["TRAINING_JOB_NAME"] == job["TrainingJobName"]
    assert json.loads(seen["SM_TRAINING_ENV"])["hyperparameters"] == json.loads(seen["SM_HPS"])


def test_a_failing_script_s_traceback_is_the_reason(server: WholeServer) -> None:
    job = train(server, {"bad.py": "def inner():\n    raise ValueError('no such column')\ninner()\n"})
    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert "in inner" in reason and "ValueError: no such column" in reason
    assert reason.endswith('Command "python bad.py", exit code: 1')


def test_a_script_of_the_shell_and_a_script_that_is_missing(server: WholeServer) -> None:
    job = train(server, {"run.sh": 'echo "$SM_HP_A and $2" > "$SM_MODEL_DIR/said"\n'}, {"a": '"b c"'})
    assert model(server, job)["said"] == b"b c and b c\n"
    wrong = train(server, {"run.py": ""}, {"sagemaker_program": '"other.py"'})
    assert "ClientError: The entry point other.py is not in the code" in wrong["FailureReason"]


RUNS = """
echo "$PPID $# $1" > /opt/ml/model/said
env | grep ^SM_ >> /opt/ml/model/said || echo none >> /opt/ml/model/said
echo whatever > /opt/ml/input/sm_training.env && echo more > "$0.more"
yes | head -1 > /dev/null; echo "${PIPESTATUS[0]}" >> /opt/ml/model/said
"""


def test_a_command_of_the_request_is_the_first_process(server: WholeServer) -> None:
    """As SDK v3's trainer gives it: on channels that it may write to. Pipes break as they do in a shell."""
    where = "/opt/ml/input/data/code/runs.sh"
    command = {
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", f"chmod +x {where} && exec {where} 'a b'"],
    }
    job = train(server, {"runs.sh": RUNS}, **command)
    assert model(server, job)["said"] == b"1 1 a b\nnone\n141\n"
    assert job["AlgorithmSpecification"]["ContainerArguments"] == command["ContainerArguments"]
    fails = train(server, {"runs.sh": "echo no >&2; exit 3"}, ContainerEntrypoint=["bash", where])
    assert fails["FailureReason"] == "AlgorithmError: , exit code: 3"
    absent = train(server, {"runs.sh": ""}, ContainerEntrypoint=["/no/such", "thing"])
    expected = "ClientError: The entry point /no/such of this job cannot be run: No such file or directory"
    assert absent["FailureReason"] == f"{expected}, exit code: 127"
    alone = train(server, {"runs.sh": RUNS}, ContainerArguments=["bash", where, "a b"])  # the image has no entry point
    assert model(server, alone)["said"] == b"1 1 a b\nnone\n141\n"
    usual = train(server, {"run.sh": "echo ran > $SM_MODEL_DIR/said"}, ContainerArguments=["train", "--more"])
    assert model(server, usual)["said"] == b"ran\n"


def test_code_that_the_role_may_not_read(server: WholeServer) -> None:
    wrong = train(server, {"run.py": ""}, {"sagemaker_submit_directory": '"s3://of-nobody-at-all/code.tar.gz"'})
    assert wrong["FailureReason"].startswith("ClientError: Code download failed:")


@pytest.mark.slow
def test_a_package_with_a_setup_and_requirements(server: WholeServer) -> None:
    setup = "from setuptools import setup\nsetup(name='m', version='1', packages=['m'], package_dir={'': 'src'})\n"
    main = "import os\nopen(os.environ['SM_MODEL_DIR'] + '/ran', 'w').write(__name__)\n"
    files = {"setup.py": setup, "src/m/__init__.py": "", "src/m/__main__.py": main}
    assert model(server, train(server, files, {"sagemaker_program": '"m"'}))["ran"] == b"__main__"
    uses = "import humanize, os\nopen(os.environ['SM_MODEL_DIR'] + '/said', 'w').write(humanize.intcomma(12345))\n"
    job = train(server, {"uses.py": uses, "requirements.txt": "humanize==4.9.0\n"})
    assert model(server, job)["said"] == b"12,345"
    wrong = train(server, {"uses.py": uses, "requirements.txt": "-e .\n"})
    assert wrong["FailureReason"].startswith("AlgorithmError: InstallRequirementsError:")


@pytest.mark.slow
def test_xgboost_with_a_script(server: WholeServer) -> None:
    code = "import os, xgboost\nopen(os.environ['SM_MODEL_DIR'] + '/version', 'w').write(xgboost.__version__)\n"
    assert model(server, train(server, {"x.py": code}, image=jobs.IMAGE))["version"].startswith(b"3.")


SERVED = """
import json, os

def model_fn(model_dir):
    with open(os.path.join(model_dir, "sum.json")) as file:
        return Adds(json.load(file))

class Adds:
    def __init__(self, offset):
        self.offset = offset
    def predict(self, rows):
        return rows.sum(axis=1) + self.offset
"""
OWN = (
    SERVED
    + """
def input_fn(data, content_type):
    if content_type != "text/words":
        raise ValueError("only words")
    return len(data.split())

def predict_fn(words, model):
    return words + model.offset

def output_fn(prediction, accept):
    return f"{prediction} words", "text/plain"
"""
)


def npy(*row: float) -> bytes:
    """An array of one row as numpy writes it."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': (1, {len(row)}), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(row)}d", *row)


def test_a_model_with_code_of_its_own_and_the_usual_forms(server: WholeServer) -> None:
    name = serve(server, {"sum.json": "0.5", "code/inference.py": SERVED})
    assert invoke(server, name, b"1,2\n3,4\n", "text/csv") == ("application/json", b"[3.5, 7.5]")
    assert invoke(server, name, b"[[1, 2]]", "application/json", Accept="text/csv") == ("text/csv", b"3.5\n")
    assert invoke(server, name, npy(1.0, 1.0), "application/x-npy") == ("application/json", b"[2.5]")
    for body, form, status in ((b"x", "text/odd", 415), (b"{", "application/json", 400)):
        with pytest.raises(Exception, match="ModelError") as refused:
            invoke(server, name, body, form)
        assert refused.value.response["OriginalStatusCode"] == status  # type: ignore[attr-defined] # botocore makes its members
    server.client("sagemaker").delete_endpoint(EndpointName=name)


def test_handlers_of_one_s_own_beside_the_model(server: WholeServer) -> None:
    bucket = f"code-{uuid.uuid4().hex[:8]}"
    server.client("s3").create_bucket(Bucket=bucket)
    server.client("s3").put_object(Bucket=bucket, Key="sourcedir.tar.gz", Body=archive({"own.py": OWN}))
    code = {"SAGEMAKER_PROGRAM": "own.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{bucket}/sourcedir.tar.gz"}
    name = serve(server, {"sum.json": "10"}, code)
    assert invoke(server, name, b"a b c", "text/words") == ("text/plain", b"13 words")
    with pytest.raises(Exception, match="only words") as refused:
        invoke(server, name, b"", "text/csv")
    assert "modelserver" not in str(refused.value) and "own.py" in str(refused.value), "the traceback is the user's"
    assert refused.value.response["OriginalStatusCode"] == 500  # type: ignore[attr-defined] # botocore makes its members
    server.client("sagemaker").delete_endpoint(EndpointName=name)
    wrong = serve(server, {"sum.json": "10"})
    assert server.client("sagemaker").describe_endpoint(EndpointName=wrong)["EndpointStatus"] == "Failed"
    assert "Please provide a model_fn implementation" in server.clary("logs", wrong).stdout


WITH_CONTEXT = """
def model_fn(model_dir, context):
    context.set_response_status(500)  # of no request yet
    return {"loaded": context, "folder": model_dir}

def transform_fn(model, data, content_type, accept, context):
    assert context is model["loaded"] and context.system_properties["model_dir"] == model["folder"]
    asked = context.get_request_header(0, "x-amzn-sagemaker-custom-attributes")
    if asked == "teapot":
        context.set_response_status(code=418, phrase="I'm a teapot")
        return "no coffee"
    if asked == "split":
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "a\\r\\nSet-Cookie: b")
    elif asked:
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", f"told {asked}")
    context.metrics.add_counter("Words", len(data.split()))
    context.metrics.add_counter("Words", 1)
    return {"headers": context.get_all_request_header(0), "id": context.get_request_id(0)}
"""


def test_handlers_that_take_a_context(server: WholeServer) -> None:
    name = serve(server, {"code/inference.py": WITH_CONTEXT})
    runtime = server.client("sagemaker-runtime")

    def asked(attributes: str) -> Any:
        request = {"EndpointName": name, "Body": b"two words", "ContentType": "application/json"}
        return runtime.invoke_endpoint(**request, CustomAttributes=attributes)

    answer = asked("a=b")
    told = json.loads(answer["Body"].read())
    assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/json", "told a=b")
    assert told["headers"]["X-Amzn-SageMaker-Custom-Attributes"] == "a=b"
    assert told["headers"]["Content-Type"] == "application/json" and len(told["id"]) == 36
    for attributes, status, why in (("teapot", 418, "no coffee"), ("split", 500, "which cannot be sent")):
        with pytest.raises(runtime.exceptions.ModelError, match=why) as refused:
            asked(attributes)
        assert refused.value.response["OriginalStatusCode"] == status
    assert "CustomAttributes" not in runtime.invoke_endpoint(EndpointName=name, Body=b"", ContentType="text/csv")
    server.client("sagemaker").delete_endpoint(EndpointName=name)
    wait_until(lambda: f",{told['id']}" in server.clary("logs", name).stdout, 60)
    assert "Words.Count:3|#ModelName:model,Level:Model|#hostname:" in server.clary("logs", name).stdout


SEVERAL = """
import json, os, socket, time
host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if host == hosts[0]:
    with socket.create_server(address) as listener:
        print("greeted by", listener.accept()[0].makefile().readline(), flush=True)
else:
    while True:
        try:
            with socket.create_connection(address, 60) as connection:
                connection.sendall(host.encode())
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
with open(f"{os.environ['SM_MODEL_DIR']}/{host}.json", "w") as file:
    json.dump([os.environ["SM_CURRENT_INSTANCE_GROUP"], sorted(os.listdir(os.environ["SM_CHANNEL_CODE"]))], file)
if host != hosts[0] and os.environ.get("SM_HP_FAIL"):
    raise SystemExit("on purpose")
"""


def test_two_instances_train_one_model(server: WholeServer) -> None:
    group = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    groups = [{**group, "InstanceGroupName": "first"}, {**group, "InstanceGroupName": "second"}]
    request = {"ResourceConfig": {"InstanceGroups": groups, "VolumeSizeInGB": 5}}
    job = train(server, {"meet.py": SEVERAL, "other.py": ""}, request=request)
    files = model(server, job)
    told = {name: json.loads(content) for name, content in files.items()}
    everything = ["meet.py", "other.py"]
    assert told == {"algo-1.json": ["first", everything], "algo-2.json": ["second", everything]}
    found = server.client("logs").describe_log_streams(
        logGroupName=jobs.GROUP, logStreamNamePrefix=f"{job['TrainingJobName']}/"
    )
    assert [each["logStreamName"].split("-")[-2] for each in found["logStreams"]] == ["1", "2"]


def test_one_of_two_instances_that_fails_is_the_reason(server: WholeServer) -> None:
    request = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}}
    job = train(server, {"meet.py": SEVERAL}, {"fail": "1"}, request=request)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError")
    assert "on purpose" in job["FailureReason"] and "ModelArtifacts" not in job
