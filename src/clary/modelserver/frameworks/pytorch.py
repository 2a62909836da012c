"""PyTorch: a TorchScript module, called with the request as a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from clary.algorithms.serving import InvocationError
from clary.modelserver import arrays

_DEFAULT = "model.pt"


def _load(model_dir: str) -> torch.jit.ScriptModule:
    """model.pt, or the only file of that kind. Any other module needs its class, so a script's model_fn."""
    path = Path(model_dir, _DEFAULT)
    if not path.exists():
        found = sorted(each.name for each in Path(model_dir).iterdir() if each.suffix in (".pt", ".pth"))
        if len(found) != 1:
            raise InvocationError(500, f"Exactly one .pth or .pt file is required for PyTorch models: {found}")
        path = Path(model_dir, found[0])
    try:
        return torch.jit.load(path, map_location="cpu")
    except RuntimeError as problem:
        raise InvocationError(
            500,
            f"{path.name} is not saved as TorchScript, and only that can be loaded without a model_fn: {problem}",
        ) from problem


def _tensor(data: str | bytes, content_type: str) -> torch.Tensor:
    return torch.from_numpy(arrays.floats(data, content_type))


def _predict(data: torch.Tensor, model: Any) -> Any:
    model.eval()
    with torch.no_grad():
        return model(data)


def _answer(prediction: Any, accept: str) -> tuple[bytes, str]:
    if isinstance(prediction, torch.Tensor):
        prediction = prediction.detach().cpu().numpy()
    return arrays.answer(prediction, accept)


HANDLERS = {"model_fn": _load, "input_fn": _tensor, "predict_fn": _predict, "output_fn": _answer}
