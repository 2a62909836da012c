"""Deploys a model that was trained elsewhere, with the SageMaker Python SDK v2; prints what it says of three points.

    clary run python deploy.py scikit-learn model.joblib        (the library and the file of train.py)

The archive holds that file alone. For scikit-learn and PyTorch a script loads it; XGBoost's own image knows how.
"""

import json
import sys
import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorchModel
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearnModel

ASKED = [[0.1, 0.2], [0.9, 0.7], [0.4, 0.45]]
CODE = str(Path(__file__).parent / "code")


def upload(session: sagemaker.Session, model: Path) -> str:
    """The S3 URI of a model.tar.gz with the file at its top."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "model.tar.gz")
        with tarfile.open(archive, "w:gz") as target:
            target.add(model, model.name)
        return str(session.upload_data(str(archive), key_prefix=f"brought/{model.name}"))


def of(library: str, session: sagemaker.Session, data: str, role: str) -> Model:
    if library == "scikit-learn":
        return SKLearnModel(data, role, "scikit_learn.py", source_dir=CODE, framework_version="1.2-1")
    if library == "pytorch":
        return PyTorchModel(data, role, "pytorch.py", source_dir=CODE, framework_version="2.6.0", py_version="py312")
    if library != "xgboost":
        raise SystemExit(f"{library} is none of scikit-learn, pytorch and xgboost.")
    image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
    return Model(image, data, role, predictor_cls=Predictor, sagemaker_session=session)


def main(library: str, path: str) -> None:
    session = sagemaker.Session()
    model = of(library, session, upload(session, Path(path)), sagemaker.get_execution_role())
    predictor = model.deploy(initial_instance_count=1, instance_type="ml.m5.large")
    predictor.serializer = CSVSerializer()
    predictor.deserializer = CSVDeserializer() if library == "xgboost" else JSONDeserializer()
    try:
        answer = predictor.predict(ASKED)
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()
    cells = [cell for row in answer for cell in (row if isinstance(row, list) else [row])]
    print(json.dumps([round(float(cell), 4) for cell in cells]))


if __name__ == "__main__":
    main(*sys.argv[1:])
