"""How good the predictions are: counts, accuracy, precision, and the cutoff that serves best."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.metrics import classification_report, confusion_matrix, log_loss

mpl.use("Agg")
import matplotlib.pyplot as plt

CUTOFFS = np.arange(0.01, 1, 0.01)


def report(truth: np.ndarray, scores: np.ndarray, classes: list[str]) -> int:
    """Prints the confusion matrix, accuracy and precision at cutoff 0.5; returns how many are right."""
    called = (scores > 0.5).astype(int)
    matrix = confusion_matrix(truth, called)
    right = int(np.trace(matrix))
    width = max(len(name) for name in classes) + 2
    print(f"    {'':{width + 7}}" + "".join(f"predicted {name:<{width}}" for name in classes))
    for name, row in zip(classes, matrix, strict=True):
        print(f"    actually {name:<{width}}" + "".join(f"{count:>10}{'':{width}}" for count in row))
    print(f"    accuracy {right / len(truth):.1%} ({right} of {len(truth)} right)")
    for index, name in enumerate(classes):
        hits, all_called = int(matrix[index, index]), int(matrix[:, index].sum())
        print(f"    precision for {name}: {hits / max(1, all_called):.1%} ({hits} of {all_called})")
    print()
    print(classification_report(truth, called, target_names=classes))
    return right


def best_cutoff(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float, list[float]]:
    """The cutoff with the least log loss of the thresholded labels, that loss, and the losses at all CUTOFFS."""
    losses = [float(log_loss(truth, np.where(scores > cutoff, 1, 0))) for cutoff in CUTOFFS]
    least = int(np.argmin(losses))
    return float(CUTOFFS[least]), losses[least], losses


def plot(cutoff: float, loss: float, losses: list[float], title: str, target: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    axes.plot(CUTOFFS, losses, color="#0972d3", linewidth=2)
    axes.axvline(cutoff, color="#d91515", linestyle="--", linewidth=1)
    axes.plot([cutoff], [loss], "o", color="#d91515")
    axes.annotate(
        f"best cutoff {cutoff:.2f}\nlog loss {loss:.2f}", (cutoff, loss),
        xytext=(0, 40), textcoords="offset points", color="#d91515", ha="center", backgroundcolor="white",
    )  # fmt: skip
    axes.set(xlabel="Cutoff", ylabel="Log loss of the predicted labels", title=f"Log loss against cutoff: {title}")
    axes.grid(visible=True, alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(target, dpi=120)
    plt.close(figure)
