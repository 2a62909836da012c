"""Which side of the diagonal: a DNNClassifier of tf.estimator, exported for TensorFlow Serving."""

import argparse
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

NAMES = ("x", "y")


def batches(table: np.ndarray, epochs: int) -> tf.data.Dataset:
    features = {name: table[:, 1 + place] for place, name in enumerate(NAMES)}
    rows = tf.data.Dataset.from_tensor_slices((features, table[:, 0].astype("int32")))
    return rows.shuffle(1000, seed=1).repeat(epochs).batch(60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--model_dir")  # the SDK gives it: a place in S3 for checkpoints
    epochs = parser.parse_args().epochs
    table = np.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv"), delimiter=",", dtype="float32")
    columns = [tf.feature_column.numeric_column(name) for name in NAMES]
    settings = tf.estimator.RunConfig(model_dir="/tmp/estimator", tf_random_seed=1)
    model = tf.estimator.DNNClassifier(
        [16], columns, optimizer=lambda: tf.keras.optimizers.legacy.Adam(0.03), config=settings
    )
    model.train(lambda: batches(table, epochs))
    result = model.evaluate(lambda: batches(table, 1))
    print(f"loss={result['average_loss']:.4f};")
    receiver = tf.estimator.export.build_parsing_serving_input_receiver_fn(
        tf.feature_column.make_parse_example_spec(columns)
    )
    model.export_saved_model(os.environ["SM_MODEL_DIR"], receiver)
