"""bentoml serve bentoml_service:Abalone"""

import bentoml
import numpy as np
import scoring


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Abalone:
    def __init__(self) -> None:
        self.booster = scoring.load()

    @bentoml.api
    def predict(self, row: list[float]) -> float:
        return float(self.booster.inplace_predict(np.array([row], dtype=np.float32))[0])
