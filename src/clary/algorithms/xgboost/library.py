"""The library, loaded so that its idle threads sleep.

By default they spin, and jobs that share cores then hold each other up: three small ones on two busy cores took a
minute each, and a third of a second with sleeping threads. OpenMP reads the variable when the library is loaded.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import xgboost

__all__ = ["xgboost"]
