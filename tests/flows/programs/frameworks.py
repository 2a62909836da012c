"""A script of one's own for a framework, by the SDK v2's class for it: trained, deployed, asked.

frameworks.py NAME        the script is scripts/NAME/train.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import points
import sagemaker
from deployed import deployed
from sagemaker.deserializers import JSONDeserializer, StringDeserializer
from sagemaker.estimator import Estimator, Framework
from sagemaker.huggingface import HuggingFace
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import CSVSerializer, IdentitySerializer
from sagemaker.tensorflow import TensorFlow, TensorFlowModel
from sagemaker.xgboost.estimator import XGBoost

HERE = Path(__file__).parent
ESTIMATORS: dict[str, Callable[..., Framework | Estimator]] = {
    "pytorch": lambda **given: PyTorch(framework_version="2.6.0", py_version="py312", **given),
    "tensorflow": lambda **given: TensorFlow(framework_version="2.19.0", py_version="py312", **given),
    "tensorflow-2.15": lambda **given: TensorFlow(framework_version="2.14.1", py_version="py310", **given),
    "huggingface": lambda **given: HuggingFace(  # AWS trains with it on GPUs only; here no GPU is seen
        transformers_version="4.28.1",
        pytorch_version="2.0.0",
        py_version="py310",
        **given | {"instance_type": "ml.p3.2xlarge"},
    ),
    "xgboost": lambda **given: XGBoost(framework_version="1.7-1", **given),
    "catboost": lambda **given: Estimator(image_uri="catboost", **given),
    "lightgbm": lambda **given: Estimator(image_uri="lightgbm:4.6.0", **given),
}
TEST = points.table(100, seed=2)
ROWS = points.csv(TEST, label=False).strip()


def csv_in_json_out(predictor: Predictor) -> list[float]:
    predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
    answer = predictor.predict(ROWS)
    return [each[0] if isinstance(each, list) else each for each in answer]


def tensorflow_serving(predictor: Predictor) -> list[float]:
    """In the REST API's JSON, then in other forms, which have to say the same."""
    instances = [row[1:] for row in TEST]
    answer = predictor.predict({"instances": instances})
    assert predictor.predict({"inputs": instances})["outputs"] == answer["predictions"]
    assert predictor.predict(instances) == answer
    predictor.serializer = CSVSerializer()
    assert predictor.predict(ROWS)["predictions"][0] == answer["predictions"][0]
    return [each[0] for each in answer["predictions"]]


def classified(predictor: Predictor) -> list[float]:
    """By the estimator's own signature, which takes examples; the second pair is the class 1 with its score."""
    answer = predictor.classify({"examples": [{"x": x, "y": y} for _, x, y in TEST]})
    assert [label for label, _ in answer["results"][0]] == ["0", "1"]
    return [row[1][1] for row in answer["results"]]


def sentences(predictor: Predictor) -> list[float]:
    asked = [f"x{int(x * 10)} y{int(y * 10)}" for _, x, y in TEST]
    answer = predictor.predict({"inputs": asked})
    return [each["score"] if each["label"] == "LABEL_1" else 1 - each["score"] for each in answer]


ASKED = {"huggingface": sentences, "tensorflow": tensorflow_serving, "tensorflow-2.15": classified}


def main(name: str) -> None:
    session, code = sagemaker.Session(), str(HERE / "scripts" / name)
    data = session.upload_string_as_file_body(
        points.csv(points.table(600, seed=1)), session.default_bucket(), f"{name}/points.csv"
    )
    estimator = ESTIMATORS[name](
        entry_point="train.py",
        source_dir=code,
        role=sagemaker.get_execution_role(),
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"epochs": 60},
        metric_definitions=[{"Name": "train:loss", "Regex": "loss=([0-9.]+);"}],
    )
    estimator.fit({"train": data}, logs=False)
    job = estimator.latest_training_job.describe()
    print("metrics", [each["MetricName"] for each in job["FinalMetricDataList"]])
    # a framework's class deploys the script with the model, the class for any image only if it is told to
    script = {} if isinstance(estimator, Framework) else {"entry_point": "train.py", "source_dir": code}
    predictor = deployed(estimator, **script)
    try:
        scores = ASKED.get(name, csv_in_json_out)(predictor)
        print("accurate", points.accuracy(TEST, scores) > 0.85)
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()
    if name == "tensorflow":
        with_handlers(estimator, code)


def with_handlers(estimator: Framework, code: str) -> None:
    model = TensorFlowModel(
        estimator.model_data, estimator.role, entry_point="inference.py", source_dir=code, framework_version="2.19.0"
    )
    predictor = deployed(model)
    predictor.serializer, predictor.deserializer = IdentitySerializer("text/points"), StringDeserializer()
    try:
        print("handlers", predictor.predict("0.1;0.2\n0.9;0.8"))
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()


main(sys.argv[1])
