"""Deployment with the SDK v2 and boto3's waiter: the SDK's own wait sleeps 30 s before its first look."""

from __future__ import annotations

import boto3
from sagemaker.estimator import EstimatorBase
from sagemaker.model import Model
from sagemaker.predictor import Predictor


def deployed(what: EstimatorBase | Model, **options: object) -> Predictor:
    """The predictor of an endpoint in service on one ml.m5.large; options are those of the SDK's deploy()."""
    predictor: Predictor = what.deploy(initial_instance_count=1, instance_type="ml.m5.large", wait=False, **options)
    waiter = boto3.client("sagemaker").get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 1})
    return predictor
