"""SDK v3's ModelTrainer with code of the user's: its drivers run in the job.

sdk3_trainer.py FOLDER: writes the code below the folder. Prints what each job tells.
"""

from __future__ import annotations

import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

TELLS = """
import json, os, sys
import humanize
where = os.environ["SM_CHANNEL_TRAIN"]
with open(os.path.join(where, "words.txt")) as file:
    said = {"words": len(file.read().split()), "arguments": sys.argv[1:], "number": humanize.intcomma(12345)}
names = ("SM_HPS", "SM_HP_LEARNING_RATE", "SM_HOST_COUNT", "SM_CURRENT_HOST", "SM_SOURCE_DIR", "SM_ENTRY_SCRIPT")
said |= {name: os.environ[name] for name in names}
print("words=" + str(said["words"]) + ";")
with open(os.path.join(os.environ["SM_MODEL_DIR"], "said.json"), "w") as file:
    json.dump(said, file)
"""
SHELL = 'set -e\necho "a shell with $*"\ncp "$SM_CHANNEL_TRAIN/words.txt" "$SM_MODEL_DIR/said.json"\n'


def code(folder: Path) -> Path:
    (folder / "source").mkdir()
    (folder / "source" / "tells.py").write_text(TELLS)
    (folder / "source" / "tells.sh").write_text(SHELL)
    (folder / "source" / "needs.txt").write_text("humanize==4.9.0\n")
    return folder / "source"


def train(session: Session, data: str, source: SourceCode, **options: Any) -> str:
    """What the job told: the text of its model's one file, or why it failed."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1"),
        sagemaker_session=session,
        role=get_execution_role(session),
        base_job_name=f"trainer-{time.time_ns()}",
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        source_code=source,
        **options,
    )
    channel = InputData(channel_name="train", data_source=data)
    try:
        trainer.train(input_data_config=[channel], wait=True, logs=True)
    except Exception as problem:  # whatever the SDK makes of a failed job: its text is the test's
        return str(problem)
    where = trainer._latest_training_job.model_artifacts.s3_model_artifacts
    bucket, _, key = where.removeprefix("s3://").partition("/")
    packed = session.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    with tarfile.open(fileobj=packed, mode="r|gz") as archive:
        for member in archive:
            if member.name == "said.json":
                return archive.extractfile(member).read().decode()  # type: ignore[union-attr] # it is a file
    return ""


def main() -> None:
    folder = Path(sys.argv[1])
    session = Session()
    source = str(code(folder))
    data = session.upload_string_as_file_body("one two three", session.default_bucket(), "trainer/words.txt")
    given = {"hyperparameters": {"learning-rate": 0.5, "name": "a b"}}

    script = SourceCode(source_dir=source, entry_script="tells.py", requirements="needs.txt")
    print("script", json.dumps(json.loads(train(session, data, script, **given)), sort_keys=True))
    shell = SourceCode(source_dir=source, entry_script="tells.sh")
    print("shell", train(session, data, shell, **given))
    telling = "test -e tells.sh && printf '%s\\n' > /opt/ml/model/said.json"
    command = SourceCode(source_dir=source, command=telling, args=["$HOME; it's"])
    print("command", train(session, data, command).splitlines()[0])
    packed = folder / "source.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(source, arcname=".")
    archived = SourceCode(source_dir=str(packed), entry_script="tells.py", requirements="needs.txt")
    print("archive", json.loads(train(session, data, archived, **given))["number"])
    fails = SourceCode(source_dir=source, command="exit 7")
    print("fails", train(session, data, fails).replace("\n", " "))


if __name__ == "__main__":
    main()
