"""What CloudWatch shows of a variant, counted in memory until somebody takes it."""

from __future__ import annotations

import math


class Statistic:
    """Sample count, sum, minimum and maximum; microseconds."""

    __slots__ = ("count", "high", "low", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.low = math.inf
        self.high = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        # Comparisons, for min() and max() cost more than all the rest of it.
        self.low = value if value < self.low else self.low
        self.high = value if value > self.high else self.high


class Counters:
    """Invocations, Invocation4XXErrors, Invocation5XXErrors, ModelLatency and OverheadLatency of one variant.

    `model_latency` is the time the model server took, `overhead_latency` the rest of the request's time here."""

    __slots__ = ("errors_4xx", "errors_5xx", "invocations", "model_latency", "overhead_latency")

    def __init__(self) -> None:
        self.invocations = 0
        self.errors_4xx = 0
        self.errors_5xx = 0
        self.model_latency = Statistic()
        self.overhead_latency = Statistic()

    def answered(self, model_status: int, whole: float, model: float) -> None:
        """The model's status (0 when it gave none), and the seconds of the request in all and at the model."""
        self.invocations += 1
        if 400 <= model_status < 500:
            self.errors_4xx += 1
        elif not 200 <= model_status < 300:
            self.errors_5xx += 1
        self.model_latency.add(model * 1e6)
        self.overhead_latency.add((whole - model) * 1e6)
