"""Answers rows of CSV with a label for each, by the model that `train` made."""

import io

import flask
import numpy as np

app = flask.Flask(__name__)
MODEL = np.load("/opt/ml/model/model.npz")
LABELS, WEIGHTS = MODEL["labels"], MODEL["weights"]


@app.get("/ping")
def ping() -> flask.Response:
    return flask.Response(status=200)  # the model is loaded, or nobody would answer


@app.post("/invocations")
def invocations() -> flask.Response:
    if flask.request.mimetype != "text/csv":
        return flask.Response("This predictor reads text/csv.\n", 415)
    table = np.loadtxt(io.StringIO(flask.request.get_data(as_text=True)), delimiter=",", ndmin=2)
    best = (np.insert(table, 0, 1.0, axis=1) @ WEIGHTS).argmax(axis=1)
    return flask.Response("".join(f"{LABELS[each]}\n" for each in best), mimetype="text/csv")
