"""The small training job as a script run by hand: script.py DATA.csv MODEL.ubj"""

import sys

import numpy
import xgboost

table = numpy.loadtxt(sys.argv[1], delimiter=",")
matrix = xgboost.DMatrix(table[:, 1:], table[:, 0])
parameters = {"max_depth": 5, "eta": 0.2, "objective": "binary:logistic"}
xgboost.train(parameters, matrix, num_boost_round=100, evals=[(matrix, "train")]).save_model(sys.argv[2])
