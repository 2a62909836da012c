"""Finds y = 3x + 1: two processes take steps of their own on variables that lie on the parameter servers."""

import json
import os

import tensorflow as tf
from tensorflow.compat import v1


def main() -> None:
    described = json.loads(os.environ["TF_CONFIG"])
    task = described["task"]
    cluster = tf.train.ClusterSpec(described["cluster"])
    here = f"/job:{task['type']}/task:{task['index']}"
    own = v1.ConfigProto(device_filters=["/job:ps", here])  # the other one may have ended already
    server = tf.distribute.Server(cluster, job_name=task["type"], task_index=task["index"], config=own)
    with tf.Graph().as_default(), v1.device(v1.train.replica_device_setter(cluster=cluster, worker_device=here)):
        x = tf.linspace(-1.0, 1.0, 40)
        slope, offset = v1.get_variable("slope", initializer=0.0), v1.get_variable("offset", initializer=0.0)
        loss = tf.reduce_mean((slope * x + offset - (3 * x + 1)) ** 2)
        step = v1.train.get_or_create_global_step()
        train = v1.train.GradientDescentOptimizer(0.3).minimize(loss, global_step=step)
        stop = v1.train.StopAtStepHook(last_step=200)
        with v1.train.MonitoredTrainingSession(
            server.target, is_chief=task["type"] == "master", hooks=[stop], config=own
        ) as session:
            while not session.should_stop():
                found = session.run((train, slope, offset))[1:]
        places = sorted({each.device.partition("/device")[0] for each in (slope, offset, step)})
    print(f"{task['type']} found {found[0]:.2f} {found[1]:.2f} on {' '.join(places)}", flush=True)


main()
