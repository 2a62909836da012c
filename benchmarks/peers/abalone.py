"""The model that all servers serve, made anew from a seed: abalone.py FOLDER

Leaves model.ubj (100 trees of depth 5 on 8 features and 4177 rows made up like the abalone data), rows.csv (2,000
different rows) and answers.txt (what xgboost itself says to each row).
"""

import sys
from pathlib import Path

import numpy as np
import xgboost

ROWS, ASKED = 4177, 2000


def table() -> tuple[np.ndarray, np.ndarray]:
    """Sex, length, diameter, height and four weights of made-up shellfish; their rings. float32."""
    draw = np.random.default_rng(20)
    length = draw.beta(6, 4, ROWS)
    whole = 2.5 * length**3 * draw.normal(1, 0.1, ROWS)
    columns = [
        draw.integers(0, 3, ROWS),
        length,
        0.8 * length * draw.normal(1, 0.03, ROWS),
        0.27 * length * draw.normal(1, 0.1, ROWS),
        whole,
        *(whole * share * draw.normal(1, 0.15, ROWS) for share in (0.43, 0.22, 0.28)),
    ]
    values = np.round(np.stack(columns, axis=1), 4).astype(np.float32)
    rings = np.round(3 + 12 * length + 8 * values[:, 7] - 3 * values[:, 5] + draw.gamma(2, 1, ROWS))
    return values, rings.astype(np.float32)


def main(folder: Path) -> None:
    values, rings = table()
    matrix = xgboost.DMatrix(values, rings)
    booster = xgboost.train({"max_depth": 5, "eta": 0.1, "objective": "reg:squarederror"}, matrix, num_boost_round=100)
    booster.save_model(folder / "model.ubj")
    asked = np.unique(values, axis=0)[:ASKED]
    lines = [",".join(np.format_float_positional(value, trim="-") for value in row) for row in asked]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    answers = booster.inplace_predict(asked)
    (folder / "answers.txt").write_text("".join(f"{float(answer)!r}\n" for answer in answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
