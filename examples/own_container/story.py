"""Builds a container of your own, pushes it to ECR, trains with it and deploys it, with the SageMaker Python SDK v2.

    clary run python examples/own_container/story.py

It needs `podman` or `docker` (ENGINE says which) and the AWS CLI; words after the file's name are options of the build.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.serializers import CSVSerializer

HERE = Path(__file__).parent
NAME = "sagemaker-flowers"
# What grows where: (height of the petals, their width), in cm.
FLOWERS = {"setosa": (1.5, 0.2), "versicolor": (4.3, 1.3), "virginica": (5.6, 2.0)}


def flowers(count: int) -> list[tuple[str, float, float]]:
    """(name, height, width)."""
    names = random.choices(list(FLOWERS), k=count)
    return [(name, *(random.gauss(mean, mean / 8) for mean in FLOWERS[name])) for name in names]


def pushed(options: list[str]) -> str:
    """The image's URI, once it is in ECR."""
    script = [str(HERE / "build_and_push.sh"), NAME, str(HERE / "container"), *options]
    said = subprocess.run(["sh", *script], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(said, end="")
    return said.split()[-1]


def main(options: list[str]) -> None:
    image = pushed(options)
    session = sagemaker.Session()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "flowers.csv")
        table.write_text("".join(f"{name},{height:.2f},{width:.2f}\n" for name, height, width in flowers(600)))
        data = session.upload_data(str(table), key_prefix=f"{NAME}/data")

    estimator = Estimator(
        image,
        sagemaker.get_execution_role(),
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"epochs": 2000},
        metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
        sagemaker_session=session,
    )
    estimator.fit({"training": data})

    predictor = estimator.deploy(1, "ml.m5.large", serializer=CSVSerializer(), deserializer=CSVDeserializer())
    try:
        asked = flowers(300)
        answers = predictor.predict([row[1:] for row in asked])
        right = sum(name == said for (name, *_), (said,) in zip(asked, answers, strict=True))
        print(f"{right} of {len(asked)} are right")
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()


if __name__ == "__main__":
    main(sys.argv[1:])
