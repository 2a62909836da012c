"""litserve_server.py PORT"""

import sys

import litserve
import numpy as np
import scoring


class Abalone(litserve.LitAPI):
    def setup(self, device):
        self.booster = scoring.load()

    def decode_request(self, request):
        return np.array([request["row"]], dtype=np.float32)

    def predict(self, x):
        return self.booster.inplace_predict(x)

    def encode_response(self, output):
        return {"rings": float(output[0])}


if __name__ == "__main__":
    server = litserve.LitServer(Abalone(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, generate_client_file=False
    )
