"""Which side of the diagonal: a small network of Keras, exported for TensorFlow Serving."""

import argparse
import os
from pathlib import Path

import keras
import numpy as np


class Tells(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        print(f"loss={logs['loss']:.4f};")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--model_dir")  # the SDK gives it: a place in S3 for checkpoints
    table = np.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv"), delimiter=",", dtype="float32")
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")
    epochs = parser.parse_args().epochs
    model.fit(table[:, 1:], table[:, 0], epochs=epochs, batch_size=200, verbose=0, callbacks=[Tells()])
    model.export(Path(os.environ["SM_MODEL_DIR"], "1"))
