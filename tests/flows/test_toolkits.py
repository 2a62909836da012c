"""AWS's own toolkits, as their projects publish them, in jobs and endpoints: sagemaker-training runs the user's
program, sagemaker-inference answers with the user's handlers. Both are built and what they need is installed: slow."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.scripts import invoke, model, serve, train
from whole_server import WholeServer

_TRAINING = ["sagemaker-training==5.1.4", "inotify_simple==1.2.1"]  # neither has a wheel
_INFERENCE = ["sagemaker-inference==1.10.1"]
_TRAINING_NEEDS = "gevent\nparamiko\nprotobuf>=5.28.1\npsutil\nretrying\nsix\nwerkzeug\n"
_INFERENCE_NEEDS = "psutil\nretrying<1.4\nsix\n"

# As the train programs of AWS's framework containers do it.
RUNS = """
from sagemaker_training import entry_point, environment

env = environment.Environment()
entry_point.run(uri=env.module_dir, user_entry_point="user.py", args=env.to_cmd_args(), env_vars=env.to_env_vars())
"""
USER = """
import json, os, sys

with open(os.path.join(os.environ["SM_MODEL_DIR"], "told.json"), "w") as file:
    told = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
    json.dump({"arguments": sys.argv[1:], "variables": told, "before": json.loads(os.environ["BEFORE"])}, file)
"""
_WHOLE = "SM_TRAINING_ENV"
# Ours, before the toolkit sets its own under the same names.
KEEPS = "import json, os\nos.environ['BEFORE'] = json.dumps({n: v for n, v in os.environ.items() if n[:3] == 'SM_'})\n"

SERVES = """
import os
os.environ["SAGEMAKER_PROGRAM"] = "user.py"  # whose handlers the toolkit looks for
from sagemaker_inference.transformer import Transformer

class Context:
    \"\"\"The part of a model server's that the transformer asks for.\"\"\"
    def __init__(self, content_type, accept):
        self.system_properties = {"model_dir": "/opt/ml/model"}
        self.request_processor = [self]
        self._properties = {"Content-Type": content_type, "Accept": accept}
        self.status, self.form = 200, accept
    def get_request_properties(self):
        return self._properties
    def set_response_content_type(self, index, form):
        self.form = form
    def set_response_status(self, code, phrase):
        self.status = code

def model_fn(model_dir):
    return Transformer()

def transform_fn(model, data, content_type, accept):
    context = Context(content_type, accept)
    body = data if isinstance(data, bytes) else data.encode()
    (answer,) = model.transform([{"body": body}], context)
    if context.status != 200:
        raise ValueError(answer)
    return answer, context.form
"""
HANDLERS = """
def model_fn(model_dir):
    return float(open(model_dir + "/offset").read())

def predict_fn(data, model):
    return data.sum(axis=1) + model
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def toolkit(packages: list[str], folder: Path) -> dict[str, str | bytes]:
    """The files of the packages as an installer lays them down. Skips the test where they cannot be had."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv was not found: it builds AWS's toolkits")
    done = subprocess.run(
        [uv, "pip", "install", "--no-deps", "--target", str(folder), *packages], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"AWS's toolkits cannot be built here: {done.stderr[-500:]}")
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """The names under which the two have not the same."""
    missing = object()
    return {name for name in one.keys() | other.keys() if one.get(name, missing) != other.get(name, missing)}


def test_the_training_toolkit_runs_a_program_and_sets_what_we_set(server: WholeServer, tmp_path: Path) -> None:
    """But for the framework's module, which AWS's images tell it."""
    own = {"runs.py": KEEPS + RUNS, "user.py": USER, "requirements.txt": _TRAINING_NEEDS}
    job = train(server, own | toolkit(_TRAINING, tmp_path), {"epochs": "3", "name": '"x y"', "deep": '{"k": [1]}'})
    told = json.loads(model(server, job)["told.json"])
    assert told["arguments"] == ["--deep", "k=[1]", "--epochs", "3", "--name", "x y"]
    theirs, ours = told["variables"], told["before"]
    assert differing(theirs, ours) == {"SM_FRAMEWORK_MODULE", _WHOLE}
    assert differing(json.loads(theirs[_WHOLE]), json.loads(ours[_WHOLE])) == {"framework_module"}


def test_the_inference_toolkit_s_transformer_answers(server: WholeServer, tmp_path: Path) -> None:
    own = {
        "offset": "0.5",
        "code/inference.py": SERVES,
        "code/user.py": HANDLERS,
        "code/requirements.txt": _INFERENCE_NEEDS,
    }
    code = {f"code/{path}": content for path, content in toolkit(_INFERENCE, tmp_path).items()}
    name = serve(server, own | code)
    assert invoke(server, name, b"1,2\n3,4\n", "text/csv", Accept="application/json") == (
        "application/json",
        b"[3.5, 7.5]",
    )
    with pytest.raises(Exception, match="Content type"):
        invoke(server, name, b"?", "text/odd", Accept="application/json")
    server.client("sagemaker").delete_endpoint(EndpointName=name)
