"""Endpoints: creation, update, scaling, repair, deletion, and where invocations go."""

from __future__ import annotations

import pytest

from clary.errors import ServiceError
from clary.serving.routes import route
from sagemaker_bench import ACCOUNT, ARN, REGION, Bench


def created(bench: Bench, count: int = 1) -> None:
    bench.model(), bench.config(count=count)
    bench.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    bench.step()


def in_service(bench: Bench, count: int = 1) -> list[str]:
    created(bench, count)
    for instance in bench.compute.alive():
        bench.compute.healthy(instance)
    bench.step()
    assert bench.endpoint()["EndpointStatus"] == "InService"
    return bench.compute.alive()


def sockets(bench: Bench) -> list[str]:
    found = route(bench.platform, ACCOUNT, REGION, "e")
    return [path for variant in found["variants"] for path in variant["instances"]]


def test_in_service_only_when_all_are_healthy(bench: Bench) -> None:
    created(bench, 2)
    first, second = bench.compute.alive()
    bench.compute.healthy(first)
    bench.step()
    assert bench.endpoint()["EndpointStatus"] == "Creating"
    assert bench.endpoint()["PendingDeploymentSummary"]["EndpointConfigName"] == "c"
    assert route(bench.platform, ACCOUNT, REGION, "e")["status"] == "Creating" and sockets(bench) == []
    bench.compute.healthy(second)
    bench.step()
    endpoint = bench.endpoint()
    assert endpoint["EndpointStatus"] == "InService" and "PendingDeploymentSummary" not in endpoint
    (variant,) = endpoint["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"], variant["CurrentWeight"]) == (2, 2, 1.0)
    assert sockets(bench) == [f"/instances/{each}/model.sock" for each in (first, second)]
    (spec, _) = bench.compute.specs
    assert (spec.purpose, spec.model_data, spec.environment) == ("serving", "s3://b/m/model.tar.gz", {"A": "1"})
    assert spec.log_group == "/aws/sagemaker/Endpoints/e" and spec.log_stream == f"AllTraffic/{spec.id}"


def test_a_model_that_never_answers_fails_the_endpoint(bench: Bench) -> None:
    created(bench)
    (instance,) = bench.compute.alive()
    bench.compute.exit(instance, "failed", failure="AlgorithmError: no ping in 240 s")
    bench.settle(4)
    endpoint = bench.endpoint()
    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert bench.compute.discarded == {instance}
    with pytest.raises(ServiceError, match="Cannot update endpoint"):
        bench.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="c")
    bench.call("DeleteEndpoint", EndpointName="e")
    bench.settle(4)
    with pytest.raises(ServiceError, match=f'Could not find endpoint "{ARN}:endpoint/e".'):
        bench.endpoint()


def test_one_that_dies_later_is_replaced(bench: Bench) -> None:
    (old,) = in_service(bench)
    bench.compute.lose(old)
    bench.step()
    assert sockets(bench) == []
    bench.step()
    (new,) = bench.compute.alive()
    assert new != old and bench.endpoint()["EndpointStatus"] == "InService"
    bench.compute.healthy(new)
    bench.step()
    assert sockets(bench) == [f"/instances/{new}/model.sock"]


def test_one_that_stops_answering_is_replaced_after_a_while(bench: Bench) -> None:
    (old,) = in_service(bench)
    bench.compute.healthy(old, False)
    bench.step()
    assert sockets(bench) == [] and bench.compute.alive() == [old]
    bench.clock.advance(31)
    bench.step(), bench.step()
    bench.clock.advance(6)
    bench.settle(4)
    assert old not in bench.compute.alive() and len(bench.compute.alive()) == 1


def test_an_update_serves_from_the_old_fleet_until_the_new_one_is_healthy(bench: Bench) -> None:
    (old,) = in_service(bench)
    bench.model("m2"), bench.config("c2", "m2")
    bench.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="c2")
    with pytest.raises(ServiceError, match=f'Cannot update in-progress endpoint "{ARN}:endpoint/e".'):
        bench.call("DeleteEndpoint", EndpointName="e")
    bench.step()
    new = next(each for each in bench.compute.alive() if each != old)
    assert bench.endpoint()["EndpointStatus"] == "Updating" and bench.endpoint()["EndpointConfigName"] == "c"
    assert route(bench.platform, ACCOUNT, REGION, "e")["status"] == "InService"
    assert sockets(bench) == [f"/instances/{old}/model.sock"]
    bench.compute.healthy(new)
    bench.step()
    assert bench.endpoint()["EndpointConfigName"] == "c2"
    assert sockets(bench) == [f"/instances/{new}/model.sock"]
    bench.step()
    assert old in bench.compute.alive(), "it drains first"
    bench.clock.advance(6)
    bench.settle(4)
    assert bench.compute.alive() == [new]
    assert bench.compute.specs[-1].model_data == "s3://b/m2/model.tar.gz"


def test_an_update_that_fails_leaves_the_old_fleet_in_service(bench: Bench) -> None:
    (old,) = in_service(bench)
    bench.config("c2")
    bench.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="c2")
    bench.step()
    new = next(each for each in bench.compute.alive() if each != old)
    bench.compute.exit(new, "failed", failure="ClientError: Could not find model data at s3://b/m/model.tar.gz.")
    bench.settle(4)
    endpoint = bench.endpoint()
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "c")
    assert endpoint["FailureReason"] == "Could not find model data at s3://b/m/model.tar.gz."
    assert bench.compute.alive() == [old] and sockets(bench) == [f"/instances/{old}/model.sock"]


def rescale(bench: Bench, count: int, weight: float = 1.0) -> None:
    wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": count, "DesiredWeight": weight}
    bench.call("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=[wanted])


def test_scaling_out_and_in(bench: Bench) -> None:
    (old,) = in_service(bench)
    rescale(bench, 2, 3.0)
    bench.step()
    assert bench.endpoint()["EndpointStatus"] == "Updating" and len(bench.compute.alive()) == 2
    bench.compute.healthy(next(each for each in bench.compute.alive() if each != old))
    bench.step()
    (variant,) = bench.endpoint()["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 3.0)
    rescale(bench, 1)
    bench.step()
    bench.clock.advance(6)
    bench.settle(4)
    assert bench.endpoint()["EndpointStatus"] == "InService" and len(bench.compute.alive()) == 1


def test_scaling_out_that_fails_rolls_back(bench: Bench) -> None:
    (old,) = in_service(bench)
    rescale(bench, 2)
    bench.step()
    new = next(each for each in bench.compute.alive() if each != old)
    bench.compute.exit(new, "failed", failure="AlgorithmError: ")
    endpoint_statuses = []
    for _ in range(3):
        bench.step()
        endpoint_statuses.append(bench.endpoint()["EndpointStatus"])
    assert endpoint_statuses == ["RollingBack", "InService", "InService"]
    assert bench.compute.alive() == [old]


def test_names_are_told_apart_without_case_but_routes_are_exact(bench: Bench) -> None:
    in_service(bench)
    with pytest.raises(ServiceError, match=f'Cannot create already existing endpoint "{ARN}:endpoint/e".'):
        bench.call("CreateEndpoint", EndpointName="E", EndpointConfigName="c")
    assert route(bench.platform, ACCOUNT, REGION, "E") == {"found": False}


def test_a_frozen_copy_outlives_its_sources(bench: Bench) -> None:
    (old,) = in_service(bench)
    bench.call("DeleteModel", ModelName="m"), bench.call("DeleteEndpointConfig", EndpointConfigName="c")
    bench.compute.lose(old)
    bench.settle(3)
    assert len(bench.compute.alive()) == 1


def test_an_instance_that_is_lost_again_and_again_is_not_relaunched_at_once(bench: Bench) -> None:
    created(bench)
    for _ in range(40):
        for instance in bench.compute.alive():
            bench.compute.lose(instance)
        bench.step()
    assert sum(bench.compute.runs.values()) <= 2
    for _ in range(200):
        bench.clock.advance(10)
        bench.step()
        for instance in bench.compute.alive():
            bench.compute.lose(instance)
    assert bench.endpoint()["EndpointStatus"] == "Failed"
