"""Finds y = 3x + 1 with MultiWorkerMirroredStrategy, in a loop of its own: each worker sees points of its own."""

import json
import os

import tensorflow as tf


def main() -> None:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    size = strategy.num_replicas_in_sync
    x = tf.linspace(-1.0, 1.0, 40)[rank::size]
    with strategy.scope():
        slope, offset = tf.Variable(float(rank)), tf.Variable(float(rank))

    @tf.function
    def step() -> None:
        def replica() -> None:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((slope * x + offset - (3 * x + 1)) ** 2)
            gradients = tape.gradient(loss, [slope, offset])
            context = tf.distribute.get_replica_context()
            for variable, gradient in zip((slope, offset), context.all_reduce("mean", gradients), strict=True):
                variable.assign_sub(0.3 * gradient)

        strategy.run(replica)

    for _ in range(30):
        step()
    print(f"worker {rank} of {size} found {slope.numpy():.2f} {offset.numpy():.2f}", flush=True)


main()
