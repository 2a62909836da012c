"""The families of AWS's images, by repository: what runs instead of each here, or why nothing does.

Every repository that `image_uris.retrieve` of the SageMaker SDKs can name falls into one of these rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clary.images.frameworks import (
    CATBOOST,
    HUGGING_FACE,
    LIGHTGBM,
    PYTHON,
    PYTORCH,
    SCIKIT_LEARN,
    TENSORFLOW,
    TENSORFLOW_2_15,
    XGBOOST,
    Framework,
)


@dataclass(frozen=True, slots=True)
class Family:
    """Repositories that mean the same. `runs` are the versions of the framework of which their scripts get the nearest.
    Without one they are refused: `about` says what they are, `instead` what to use."""

    repositories: re.Pattern[str]
    about: str
    runs: tuple[Framework, ...] = ()
    instead: str = ""


def _refused(repositories: str, about: str, instead: str) -> Family:
    return Family(re.compile(repositories), about, (), instead)


def _runs(repositories: str, *frameworks: Framework) -> Family:
    return Family(re.compile(repositories), frameworks[0].title, frameworks)


_SCRIPT = "a script in a framework environment that is offered (`clary images ls`) can do the same"
_ALGORITHM = "The built-in algorithms that are offered are in the reference"
_MODEL = "serve the model by a script (`inference.py`) in a framework environment that is offered"

FAMILIES = (
    _runs(r"sagemaker-scikit-learn", SCIKIT_LEARN),
    _runs(r"sagemaker-xgboost", XGBOOST),
    _runs(r"(sagemaker-)?pytorch|pytorch-(training|inference)(-graviton|-arm64)?", PYTORCH),
    _runs(
        r"sagemaker-tensorflow-(scriptmode|serving)|tensorflow-(training|inference(-graviton)?)",
        TENSORFLOW,
        TENSORFLOW_2_15,
    ),
    _runs(r"huggingface-pytorch-(training|inference)", HUGGING_FACE),
    _runs(r"sagemaker-base-python(-3\d+)?", PYTHON),  # what @remote functions run in that name no image
    # ours: AWS has no images of them
    _runs(r"lightgbm", LIGHTGBM),
    _runs(r"catboost", CATBOOST),
    # built-in algorithms; those that have a folder in clary.algorithms are found there first
    _refused(
        "blazingtext|factorization-machines|forecasting-deepar|image-classification|ipinsights|kmeans|knn|lda|"
        "linear-learner|ntm|object-detection|object2vec|pca|randomcutforest|semantic-segmentation|seq2seq",
        "a built-in algorithm that is not built yet",
        _ALGORITHM,
    ),
    # frameworks to come
    _refused(r"autogluon-(training|inference)", "AutoGluon, whose environment is not built yet", _SCRIPT),
    # frameworks that have ended
    _refused(
        r"huggingface-tensorflow-(training|inference)",
        "Hugging Face with TensorFlow, which Transformers 5 no longer has",
        "give `pytorch_version` instead of `tensorflow_version`",
    ),
    _refused(
        r"sagemaker-tensorflow",
        "TensorFlow 1 for Python 2, without scripts",
        'give a framework_version from 1.15 on and py_version="py3"; that runs on TensorFlow 2.15, with tf.estimator',
    ),
    _refused(
        r"(sagemaker-)?mxnet(-training|-inference|-serving)?",
        "MXNet, which its project has ended (2023)",
        "PyTorch (`sagemaker.pytorch`) has the same layers and trainers; move the script to it",
    ),
    _refused(
        r"sagemaker-chainer",
        "Chainer, which its project has ended (2019)",
        "its authors name PyTorch (`sagemaker.pytorch`) as its successor; move the script to it",
    ),
    _refused(
        r"sagemaker-rl-(mxnet|tensorflow|coach-container|ray-container|vw-container)",
        "reinforcement learning with Coach, Ray or Vowpal Wabbit, whose images AWS no longer maintains",
        "a script with gymnasium and a learner of today in its requirements.txt can do the same",
    ),
    # hardware that this machine does not have
    _refused(r".*-eia", "for Elastic Inference, which AWS has ended (2024)", "use the same family without `-eia`"),
    _refused(
        r".*-neuronx?", "for AWS Trainium and Inferentia chips", "use the same family without `-neuron`, on a CPU"
    ),
    _refused(
        r"sagemaker-neo-.*|sagemaker-inference-(mxnet|pytorch|tensorflow)|.*-neo",
        "for models that SageMaker Neo compiled",
        "serve the model as it was before compilation, in its own framework's image",
    ),
    _refused(
        r"(huggingface-)?(pytorch|tensorflow)-trcomp-training|smdistributed-modelparallel",
        "for AWS's compiler and model-parallel libraries, which need their GPUs",
        "train without the compiler or distribution option",
    ),
    # model servers
    _refused(
        r"djl-inference|huggingface-pytorch-tgi-inference|tei(-cpu)?|stabilityai-pytorch-inference|whisperx|"
        r"(huggingface-)?(vllm|vllm-omni|sglang|llamacpp|llama-cpp|llama-cpp-arm64)",
        "a server of large models of language, speech or images, not built yet",
        _MODEL,
    ),
    _refused(r"sagemaker-tritonserver", "NVIDIA's Triton inference server", _MODEL),
    _refused(r"ray", "Ray Serve, not built yet", _MODEL),
    _refused(r"sagemaker-sparkml-serving", "a server of Spark ML pipelines, not built yet", _MODEL),
    # processing and studio
    _refused(r"sagemaker-spark-processing", "Spark processing, not built yet", _SCRIPT),
    _refused(
        r"sagemaker-(clarify-processing|model-monitor-analyzer|debugger-rules|data-wrangler-container|geospatial-.*)|"
        r"detailed-profiler-processing|sagemaker-inspect-ai",
        "one of SageMaker's own processing images, not built yet",
        "compute the same in a script of your own",
    ),
    _refused(
        r"sagemaker-distribution-prod",
        "a Studio image, not built yet",
        "run the script in a framework environment that is offered (`clary images ls`)",
    ),
)


def of(repository: str) -> Family | None:
    """None for a repository that neither AWS nor Clary has."""
    return next((family for family in FAMILIES if family.repositories.fullmatch(repository)), None)
