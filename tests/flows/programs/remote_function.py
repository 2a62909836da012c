"""A function of the user's, run as a training job by @remote of the SageMaker SDK v2 or v3.

remote_function.py [FOLDER]: with a folder, to which the requirements of the job are written, in an image that is named;
else in what the SDK chooses by itself, which is the SDK's version of here on the Python of here.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

try:
    from sagemaker.core.helper.session_helper import Session, get_execution_role
    from sagemaker.core.remote_function import remote
except ImportError:
    from sagemaker import Session, get_execution_role
    from sagemaker.remote_function import remote

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def main() -> None:
    session = Session()
    settings = {
        "instance_type": "ml.m5.large",
        "role": get_execution_role(session),
        "sagemaker_session": session,
    }
    if sys.argv[1:]:
        needs = Path(sys.argv[1], "needs.txt")
        needs.write_text(f"sagemaker=={version('sagemaker')}\n")
        settings |= {"image_uri": IMAGE, "dependencies": str(needs)}

    @remote(**settings)
    def divide(a: float, b: float) -> dict[str, float]:
        import os

        print("inside", os.environ["TRAINING_JOB_NAME"], sys.version_info[:2])
        return {"quotient": a / b}

    print("answer", divide(6, b=4))
    try:
        divide(1, 0)
    except ZeroDivisionError as problem:
        print("raised", problem)


if __name__ == "__main__":
    main()
