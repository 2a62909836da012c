"""Points of the unit square, labelled 1 above its diagonal: a table that XGBoost learns in a moment."""

from __future__ import annotations

import random


def table(rows: int, seed: int) -> list[tuple[int, float, float]]:
    """(label, x, y)"""
    generator = random.Random(seed)
    points = [(generator.random(), generator.random()) for _ in range(rows)]
    return [(int(x + y > 1), x, y) for x, y in points]


def csv(rows: list[tuple[int, float, float]], label: bool = True) -> str:
    """Label first, no header: what SageMaker's XGBoost reads. Without `label`: what an endpoint is asked."""
    return "\n".join(",".join(f"{value:.5f}" for value in (row if label else row[1:])) for row in rows) + "\n"


def accuracy(rows: list[tuple[int, float, float]], scores: list[float]) -> float:
    assert len(rows) == len(scores)
    return sum((score > 0.5) == bool(row[0]) for row, score in zip(rows, scores, strict=True)) / len(rows)
