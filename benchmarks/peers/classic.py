"""gunicorn -k gevent classic:app, behind nginx: the shape of a container of one's own on SageMaker."""

import os

import flask
import numpy as np
import xgboost

app = flask.Flask(__name__)
booster = xgboost.Booster(model_file=os.environ["MODEL"])
booster.set_param({"nthread": 1})


@app.route("/ping", methods=["GET"])
def ping() -> flask.Response:
    return flask.Response(response="\n", status=200, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def invocations() -> flask.Response:
    row = np.genfromtxt([flask.request.data.decode()], delimiter=",", dtype=np.float32, ndmin=2)
    answer = booster.predict(xgboost.DMatrix(row))
    return flask.Response(response=f"{answer[0]}\n", status=200, mimetype="text/csv")
