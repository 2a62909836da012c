"""What runs is what its image meant when it was created, wherever the tag has moved since."""

from __future__ import annotations

import pytest

from clary.errors import ServiceError
from clary.registry.names import digest_of
from sagemaker_bench import IMAGE, Bench

ONE, TWO = digest_of(b"one"), digest_of(b"two")


def in_service(bench: Bench) -> None:
    for _ in range(3):
        bench.step()
        for instance in bench.compute.alive():
            bench.compute.healthy(instance)
    bench.step()
    assert bench.endpoint()["EndpointStatus"] == "InService"


def notes(bench: Bench) -> list[str]:
    """What the instances were launched with, in their order."""
    return [each.image.note for each in bench.compute.specs]


def deployed(bench: Bench) -> tuple[str, str]:
    (variant,) = bench.endpoint()["ProductionVariants"]
    (shown,) = variant["DeployedImages"]
    assert shown["ResolutionTime"] > 0
    return shown["SpecifiedImage"], shown["ResolvedImage"].rpartition("@")[2]


def test_later_instances_of_an_endpoint_run_what_the_first_ran(bench: Bench) -> None:
    bench.images.stands = ONE
    bench.model(), bench.config()
    bench.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    pending = bench.endpoint()["PendingDeploymentSummary"]["ProductionVariants"][0]
    assert pending["DeployedImages"] == [{"SpecifiedImage": IMAGE}]
    in_service(bench)
    assert deployed(bench) == (IMAGE, ONE)
    bench.images.stands = TWO
    more = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    bench.call("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=more)
    in_service(bench)
    bench.compute.exit(bench.compute.alive()[0])
    in_service(bench)
    assert (notes(bench), deployed(bench)) == ([ONE] * 3, (IMAGE, ONE))
    bench.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="c")
    in_service(bench)
    assert (notes(bench)[3:], deployed(bench)) == ([TWO], (IMAGE, TWO))


def test_all_attempts_of_a_job_run_the_same(bench: Bench) -> None:
    bench.images.stands = ONE
    bench.train("job", RetryStrategy={"MaximumRetryAttempts": 1})
    bench.images.stands = TWO
    bench.settle(3)
    (first,) = bench.compute.alive()
    bench.compute.lose(first)
    bench.settle(3)
    assert notes(bench) == [ONE, ONE]
    bench.train("next")
    bench.settle(3)
    assert notes(bench)[2:] == [TWO]


def test_an_image_that_is_gone_ends_what_is_created_and_nothing_that_runs(bench: Bench) -> None:
    bench.images.stands = ONE
    bench.model(), bench.config()
    bench.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    in_service(bench)
    bench.images.gone.add(ONE)
    first = bench.compute.alive()
    more = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    bench.call("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=more)
    bench.settle(3)
    endpoint = bench.endpoint()
    assert (endpoint["EndpointStatus"], endpoint["FailureReason"]) == ("InService", f"{ONE} cannot be had any more.")
    assert bench.compute.alive() == first
    bench.call("CreateEndpoint", EndpointName="f", EndpointConfigName="c")
    bench.settle(2)
    assert bench.call("DescribeEndpoint", EndpointName="f")["EndpointStatus"] == "Failed"
    with pytest.raises(ServiceError, match="any more"):
        bench.train("job")
