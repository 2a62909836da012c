"""ray_serve.py PORT FOLDER"""

import sys
import threading

import ray
import scoring
from ray import serve
from starlette.requests import Request
from starlette.responses import PlainTextResponse


@serve.deployment(logging_config={"enable_access_log": False, "log_level": "WARNING"})
class Abalone:
    def __init__(self) -> None:
        self.booster = scoring.load()

    async def __call__(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(scoring.score(self.booster, await request.body()))


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, _temp_dir=sys.argv[2], log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Abalone.bind(), route_prefix="/invocations")
    threading.Event().wait()
