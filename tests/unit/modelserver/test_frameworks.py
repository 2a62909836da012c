"""What each framework's model server answers where the script says nothing, in the framework's own environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.contract.layout import Layout
from clary.testing.algorithm_conformance import Answer, ModelClient, Workbench
from image_environment import workbench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the environment may have to be built


def test_xgboost_reads_libsvm_as_training_does(tmp_path: Path) -> None:
    """Features count from 0, and what a row does not name is missing, not 0."""
    bench = workbench("xgboost-script", tmp_path, "xgboost")
    layout = bench.layout({}, {})
    code = """
import sys, numpy as np, xgboost
rows = np.array([[n % 2, n % 3 or np.nan, n] for n in range(60)], np.float32)
labels = np.isnan(rows[:, 1]) * 4 + rows[:, 0]
model = xgboost.train({"max_depth": 4}, xgboost.DMatrix(rows, labels), 30)
model.save_model(sys.argv[1] + "/model.ubj")
asked = np.array([[1, np.nan, 5], [np.nan, 2, np.nan]], np.float32)
print(model.predict(xgboost.DMatrix(asked)).tolist())
"""
    expected = json.loads(bench.run(code, layout.model))
    script(
        layout,
        "import xgboost\ndef model_fn(folder): return xgboost.Booster(model_file=folder + '/model.ubj')\n",
    )
    with bench.serving(layout) as client:
        for form in ("text/libsvm", "text/x-libsvm"):
            assert json.loads(client.invoke(b"1 0:1 2:5\n1:2\n", form).body) == pytest.approx(expected)
        assert json.loads(client.invoke(b"1,,5", "text/csv").body) == pytest.approx(expected[:1])
        assert client.invoke(b"0:x", "text/libsvm").status == 415


def script(layout: Layout, text: str) -> None:
    (layout.model / "code").mkdir()
    (layout.model / "code" / "inference.py").write_text(text)


def test_pytorch_serves_torchscript_without_a_script(tmp_path: Path) -> None:
    bench = workbench("pytorch", tmp_path, "pytorch")
    layout = bench.layout({}, {})
    code = """
import sys, torch
class Sums(torch.nn.Module):
    def forward(self, rows):
        return rows.sum(1)
torch.jit.trace(Sums(), torch.ones(1, 2)).save(sys.argv[1] + "/sums.pth")
torch.save({"weight": torch.ones(1)}, sys.argv[2] + "/model.pt")
"""
    plain = bench.layout({}, {})
    bench.run(code, layout.model, plain.model)
    with bench.serving(layout) as client:
        assert client.invoke(b"1,2\n3,4", "text/csv") == Answer(200, "application/json", b"[3.0, 7.0]")
        assert client.invoke(b"[[1, 2, 3]]", "application/json", "text/csv").body == b"6.0\n"
        assert client.invoke(b"x", "image/png").status == 415
    said = bench.run("from clary.modelserver import main\nprint(main())", layout=plain)
    assert "model.pt is not saved as TorchScript" in said and said.endswith("\n1\n")


TINY_BERT = """
import sys
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
words = Tokenizer(WordLevel({"[PAD]": 0, "good": 1, "bad": 2, "[UNK]": 3}, unk_token="[UNK]"))
PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(sys.argv[1])
sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
labels = {0: "no", 1: "yes"}
config = BertConfig(vocab_size=4, max_position_embeddings=8, id2label=labels, **sizes)
BertForSequenceClassification(config).save_pretrained(sys.argv[1])
"""


def test_hugging_face_serves_what_the_architecture_is_for(tmp_path: Path) -> None:
    bench = workbench("huggingface", tmp_path, "huggingface")
    layout = bench.layout({}, {})
    bench.run(TINY_BERT, layout.model)
    with bench.serving(layout) as client:
        both = json.loads(client.invoke(b'{"inputs": ["good", "bad"]}', "application/json").body)
        assert [each["label"] in ("no", "yes") for each in both] == [True, True]
        lines = client.invoke(b"inputs\ngood\nbad\n", "text/csv", "text/csv").body.decode().splitlines()
        assert lines[0] == "label,score" and len(lines) == 3
        one = json.loads(client.invoke(b'{"inputs": "good", "parameters": {"top_k": 2}}', "application/json").body)
        assert {each["label"] for each in one} == {"no", "yes"}
        assert sum(each["score"] for each in one) == pytest.approx(1)
        assert client.invoke(b"good\nbad\n", "text/csv").status == 400
        assert client.invoke(b"{", "application/json").status == 400
        assert client.invoke(b"", "audio/wav").status == 415
    main = "from clary.modelserver import main\nprint(main())"
    assert "does not follow from the model's architecture (None)" in bench.run(main, layout=bench.layout({}, {}))
    hub = f"import os\nos.environ['HF_MODEL_ID'] = 'a/b'\n{main}"
    assert "names a model on the Hugging Face Hub" in bench.run(hub, layout=layout)
    with bench.serving(bench.layout({}, {}), HF_MODEL_ID=str(layout.model)) as client:
        assert client.invoke(b'{"inputs": "good"}', "application/json").status == 200


MODELS = """
import sys, tensorflow as tf
class Scales(tf.Module):
    def __init__(self, by):
        self.by = tf.Variable(by)
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "rows")])
    def scaled(self, rows):
        return {"scaled": rows * self.by}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts"), tf.TensorSpec([None], tf.int64, "times")])
    def named(self, texts, times):
        return {"long_bytes": tf.strings.join([texts, texts]), "more": times + 1}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def summed(self, examples):
        spec = {"x": tf.io.FixedLenFeature([2], tf.float32), "name": tf.io.FixedLenFeature([], tf.string)}
        parsed = tf.io.parse_example(examples, spec)
        total = tf.reduce_sum(parsed["x"], 1, keepdims=True)
        return {"outputs": total, "scores": tf.concat([total, -total], 1),
                "classes": tf.stack([parsed["name"], parsed["name"]], 1)}
for version, by in (("1", 10.0), ("0002", 2.0)):
    model = Scales(by)
    tf.saved_model.save(model, f"{sys.argv[1]}/export/scales/{version}", {
        "serving_default": model.scaled, "named": model.named, "summed": model.summed})
"""


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workbench, Layout]:
    bench = workbench("tensorflow", tmp_path_factory.mktemp("tensorflow"), "tensorflow")
    layout = bench.layout({}, {})
    bench.run(MODELS, layout.model)
    return bench, layout


@pytest.fixture(scope="module")
def serving(tensorflow: tuple[Workbench, Layout]) -> Iterator[ModelClient]:
    bench, layout = tensorflow
    with bench.serving(layout) as client:
        yield client


def ask(client: ModelClient, request: Any, attributes: str = "", form: str = "application/json") -> tuple[int, Any]:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    headers = {"Content_Type": form, "X_Amzn_SageMaker_Custom_Attributes": attributes}
    answer = client.request("POST", "/invocations", body, **headers)
    return answer.status, json.loads(answer.body)


def test_the_newest_version_answers_in_the_rest_api_s_json(serving: ModelClient) -> None:
    assert ask(serving, {"instances": [[1, 2], [3, 4]]}) == (200, {"predictions": [[2.0, 4.0], [6.0, 8.0]]})
    assert ask(serving, {"inputs": [[1, 2]]}) == (200, {"outputs": [[2.0, 4.0]]})
    assert ask(serving, {"inputs": {"rows": [[1, 2]]}}) == (200, {"outputs": [[2.0, 4.0]]})
    named = {"signature_name": "named", "instances": [{"texts": {"b64": "YQ=="}, "times": 1}]}
    assert ask(serving, named) == (200, {"predictions": [{"long_bytes": {"b64": "YWE="}, "more": 2}]})


def test_other_forms_become_instances(serving: ModelClient) -> None:
    two = (200, {"predictions": [[2.0, 4.0], [6.0, 8.0]]})
    assert ask(serving, [[1, 2], [3, 4]]) == two
    assert ask(serving, b"1,2\n3,4\n", form="text/csv") == two
    assert ask(serving, b"[1,2]\n[3,4]\n", form="application/jsonlines") == two
    assert ask(serving, [1, 2]) == (200, {"predictions": [[2.0, 4.0]]})
    assert ask(serving, b"x", form="image/png")[0] == 415


def test_custom_attributes_choose_model_version_and_method(serving: ModelClient) -> None:
    assert ask(serving, [[1, 2]], "tfs-model-version=1") == (200, {"predictions": [[10.0, 20.0]]})
    assert ask(serving, [[1, 2]], "other, tfs-model-name=scales,tfs-model-version=2")[0] == 200
    assert ask(serving, [[1, 2]], "tfs-model-name=nothing")[0] == 404
    assert ask(serving, [[1, 2]], "tfs-model-version=3")[0] == 404
    examples = {"signature_name": "summed", "context": {"name": "a"}, "examples": [{"x": [1, 2.5]}, {"x": [0.5, 0.0]}]}
    assert ask(serving, examples, "tfs-method=regress") == (200, {"results": [3.5, 0.5]})
    classes = [[["a", 3.5], ["a", -3.5]], [["a", 0.5], ["a", -0.5]]]
    assert ask(serving, examples, "tfs-method=classify") == (200, {"results": classes})


@pytest.mark.parametrize(
    "request_",
    [
        *({}, {"instances": []}, {"instances": [[1, 2]], "inputs": [[1, 2]]}, {"instances": [["a", "b"]]}),
        *({"instances": [[1, 2, 3]]}, {"instances": [{"no": 1}]}, {"signature_name": "no", "instances": [[1, 2]]}),
        *({"instances": [{"b64": "YQ"}]}, {"signature_name": "named", "instances": [1]}, b"{"),
        *({"inputs": {"rows": [{"no": 1}]}}, {"signature_name": ["named"], "instances": [1]}, b"[" * 100_000),
        *({"instances": [[1, 10**400]]}, {"instances": [[1, None]]}),
    ],
    ids=lambda request: str(request)[:60],
)
def test_what_the_model_cannot_take_is_told(serving: ModelClient, request_: Any) -> None:
    status, answer = ask(serving, request_)
    assert status == 400 and answer["error"]


def test_handlers_around_the_model(tensorflow: tuple[Workbench, Layout]) -> None:
    bench, layout = tensorflow
    text = """
import json
def input_handler(data, context):
    return json.dumps({"inputs": [[float(each) for each in data.read().split()]]})
def output_handler(response, context):
    if response.status_code != 200:
        return json.dumps([response.status_code, "error" in response.json()]), context.accept_header
    return f"{context.model_version} {response.json()['outputs']}", "text/plain"
"""
    script(layout, text)
    with bench.serving(layout) as client:
        headers = {"Content_Type": "text/words", "X_Amzn_SageMaker_Custom_Attributes": "tfs-model-version=1"}
        answer = client.request("POST", "/invocations", b"1 2", **headers)
        assert answer == Answer(200, "text/plain", b"1 [[10.0, 20.0]]")
        assert client.invoke(b"1 2 3", "text/words") == Answer(200, "application/json", b"[400, true]")
        failed = client.invoke(b"a b", "text/words")
        assert failed.status == 500 and b"could not convert" in failed.body
    (layout.model / "code" / "inference.py").write_text("def handler(data, context): pass")
    said = bench.run("from clary.modelserver import main\nprint(main())", layout=layout)
    assert "has to have input_handler and output_handler" in said
