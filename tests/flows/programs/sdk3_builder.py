"""SDK v3's ModelBuilder with a model of the user's: its own serving code answers in the endpoint.

sdk3_builder.py FOLDER: the models are packed below it.
"""

from __future__ import annotations

import io
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint
from sagemaker.serve import ModelBuilder
from sagemaker.serve.builder.schema_builder import SchemaBuilder
from sagemaker.serve.spec.inference_spec import InferenceSpec
from sagemaker.serve.utils.types import ModelServer
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

# What the serving code imports; what the SDK captures by itself is the whole environment of its client.
NEEDS = [f"{name}=={version(name)}" for name in ("sagemaker", "cloudpickle", "scikit-learn")]


class Distances(InferenceSpec):
    """A model that is no framework's: how far each row is from a point that lies beside the code."""

    def prepare(self, folder: str) -> None:
        np.save(Path(folder, "point.npy"), np.array([1.0, 2.0, 3.0]))

    def load(self, model_dir: str) -> Any:
        return np.load(Path(model_dir, "point.npy"))

    def invoke(self, input_object: Any, model: Any) -> Any:
        return np.linalg.norm(input_object - model, axis=1)


def deploy(session: Session, folder: Path, rows: Any, answers: Any, **what: Any) -> Any:
    """What an endpoint answers to the rows."""
    name = f"builder-{time.time_ns()}"
    builder = ModelBuilder(
        schema_builder=SchemaBuilder(rows, answers),
        model_path=str(folder / name),
        dependencies={"auto": False, "custom": NEEDS},
        role_arn=get_execution_role(session),
        sagemaker_session=session,
        instance_type="ml.m5.large",
        **what,
    )
    builder.build(model_name=name)
    builder.deploy(endpoint_name=name, instance_type="ml.m5.large", initial_instance_count=1, wait=False)
    endpoint = Endpoint.get(endpoint_name=name)
    endpoint.wait_for_status("InService", timeout=600)
    body = io.BytesIO()
    np.save(body, rows)
    form = "application/x-npy"
    answer: Any = endpoint.invoke(body=body.getvalue(), content_type=form, accept=form)
    found = np.load(io.BytesIO(answer.body.read()))
    endpoint.delete()
    return found


def main() -> None:
    folder, session = Path(sys.argv[1]), Session()
    rows = np.random.default_rng(1).normal(size=(20, 3))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    answers = model.predict(rows)
    image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.4-2")
    served = {"image_uri": image, "model_server": ModelServer.TORCHSERVE}
    print("scikit-learn", (deploy(session, folder, rows, answers, model=model, **served) == answers).all())
    trees = XGBClassifier(n_estimators=3).fit(rows, rows[:, 0] > 0)
    answers = trees.predict(rows)
    print("XGBoost", (deploy(session, folder, rows, answers, model=trees) == answers).all())
    distances = np.linalg.norm(rows - np.array([1.0, 2.0, 3.0]), axis=1)
    given = deploy(session, folder, rows, distances, inference_spec=Distances(), **served)
    print("InferenceSpec", np.allclose(given, distances))


if __name__ == "__main__":
    main()
