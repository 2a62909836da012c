"""Inside, in the script's interpreter: one of TensorFlow's parameter servers, as TF_CONFIG has it, without end."""

import json
import os


def main() -> None:
    import tensorflow

    described = json.loads(os.environ["TF_CONFIG"])
    task = described["task"]
    server = tensorflow.distribute.Server(described["cluster"], job_name=task["type"], task_index=task["index"])
    server.join()


if __name__ == "__main__":
    main()
