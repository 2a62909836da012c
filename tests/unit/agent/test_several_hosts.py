"""Jobs of several hosts: one network, a share of the data for each, and one output of them all."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from agent_world import TELLING, World, world
from clary.compute.base import Observation
from clary.contract.instance import ExitRecord, HostGroup, InstanceSpec

PATIENCE = 60.0
# Each host but the first greets the first, which answers all of them once all have come.
TALK = """
resources = json.loads(layout.resource_config.read_text())
host, hosts = resources["current_host"], resources["hosts"]
if host == hosts[0]:
    listener = socket.create_server((hosts[0], 4000))
    met = [listener.accept() for _ in hosts[1:]]
    names = sorted(connection.makefile().readline().strip() for connection, _ in met)
    for connection, _ in met:
        connection.sendall((json.dumps(names) + "\\n").encode())
else:
    while True:
        try:
            connection = socket.create_connection((hosts[0], 4000), 30, (host, 0))
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    connection.sendall(f"{host} at {connection.getsockname()[0]}\\n".encode())
    names = json.loads(connection.makefile().readline())
"""


def specs(there: World, program: str, count: int = 2, **given: Any) -> list[InstanceSpec]:
    """One for each host, as the control plane makes them."""
    base = there.spec().id
    hosts = tuple(f"algo-{n}" for n in range(1, count + 1))
    ids = {host: f"{base}-{host[5:]}" for host in hosts}
    shared = {"hosts": hosts, "peers": ids, "token": f"token-of-{base}", **given}
    return [there.spec(TELLING + program, id=ids[host], host=host, **shared) for host in hosts]


def over(seen: Observation) -> bool:
    return seen.state in ("exited", "lost")


def ended(there: World, launched: list[InstanceSpec]) -> list[ExitRecord]:
    found = [there.wait(spec.id, over, PATIENCE).exit for spec in launched]
    assert all(found), [there.agent_log(spec.id) for spec in launched]
    return [each for each in found if each is not None]


def run(there: World, launched: list[InstanceSpec]) -> list[ExitRecord]:
    for spec in launched:
        there.compute.launch(spec)
    return ended(there, launched)


def told(there: World, spec: InstanceSpec) -> Any:
    lines = there.lines(spec.id)
    return json.loads(next((line for line in lines if line.startswith("told ")), "told null")[5:])


def output(there: World, spec: InstanceSpec, name: str) -> dict[str, bytes]:
    bucket, _, key = spec.output.removeprefix("s3://").partition("/")
    with tarfile.open(fileobj=io.BytesIO(there.s3.buckets[bucket][f"{key}/{name}"])) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr] # it is a file


def test_they_talk_to_each_other_by_name_and_leave_one_model(here: World) -> None:
    program = """
(layout.model / host).write_text("of it alone")
(layout.model / "shared").write_text(host)
(layout.output_data / host).write_text("data")
tell([names, resources])
"""
    launched = specs(here, TALK + program, 3, output="s3://out/three/output")
    records = run(here, launched)
    assert [each.cause for each in records] == ["completed"] * 3, records
    names, resources = told(here, launched[0])
    assert names == ["algo-2 at 127.0.0.3", "algo-3 at 127.0.0.4"] == told(here, launched[2])[0]
    assert resources["hosts"] == ["algo-1", "algo-2", "algo-3"]
    assert told(here, launched[1])[1]["current_host"] == "algo-2"
    assert [bool(each.model) for each in records] == [True, False, False]
    kept = output(here, launched[0], "model.tar.gz")
    assert sorted(kept) == ["algo-1", "algo-2", "algo-3", "shared"] and kept["shared"] == b"algo-1"
    assert sorted(output(here, launched[0], "output.tar.gz")) == ["algo-1", "algo-2", "algo-3"]


def test_each_gets_its_share_and_what_is_for_its_group(here: World) -> None:
    here.s3.buckets["in"] = {f"d/{n}": b"x" for n in range(5)}
    hosts = ("algo-1", "algo-2", "algo-3")
    groups = (HostGroup("one", "ml.c5.large", hosts[:1]), HostGroup("two", "ml.m5.large", hosts[1:]))
    shared = here.channel("shared", "s3://in/d/", distribution="ShardedByS3Key", hosts=hosts[1:])
    whole = here.channel("whole", "s3://in/d/", hosts=hosts)
    program = """
resources = json.loads(layout.resource_config.read_text())
tell([{each.name: sorted(os.listdir(each)) for each in layout.data.iterdir()}, resources["current_group_name"],
      resources["instance_groups"]])
"""
    launched = specs(here, program, 3, channels=(shared, whole), groups=groups)
    # The control plane leaves out of each host's what is not for it.
    launched[0] = here.spec(**{**vars_of(launched[0]), "channels": (whole,)})
    assert [each.cause for each in run(here, launched)] == ["completed"] * 3
    first, second, third = (told(here, each) for each in launched)
    everything = ["0", "1", "2", "3", "4"]
    assert first[0] == {"whole": everything}
    assert second[0] == {"whole": everything, "shared": ["0", "2", "4"]}
    assert third[0] == {"whole": everything, "shared": ["1", "3"]}
    assert [each[1] for each in (first, second, third)] == ["one", "two", "two"]
    assert first[2][1] == {"instance_group_name": "two", "instance_type": "ml.m5.large", "hosts": ["algo-2", "algo-3"]}


def vars_of(spec: InstanceSpec) -> dict[str, Any]:
    found = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    found["program"] = found["hyperparameters"]["program"]
    del found["hyperparameters"]
    return found


def test_all_work_with_the_role_also_when_the_first_has_ended(here: World) -> None:
    here.s3.buckets["kept"] = {"k": b"of the role"}
    program = """
if host != hosts[0]:
    connection.settimeout(60)
    connection.recv(1)  # the first's end
    import boto3
    for _ in range(5):
        tell(boto3.client("s3").get_object(Bucket="kept", Key="k")["Body"].read().decode())
"""
    launched = specs(here, TALK + program, 2)
    assert [each.cause for each in run(here, launched)] == ["completed"] * 2, here.lines(launched[1].id)
    assert told(here, launched[1]) == "of the role"


def test_whichever_agent_is_reached_answers_each_host(here: World) -> None:
    """Connections are spread over those that are there."""
    program = """
tell([ask()[0] for _ in range(40)])
connection.sendall(b".")  # both go on until both have asked
connection.settimeout(60)
connection.recv(1)
"""
    launched = specs(here, TALK + program, 2)
    records = run(here, launched)
    assert [each.cause for each in records] == ["completed"] * 2, here.lines(launched[1].id)[-6:]
    assert [told(here, each) for each in launched] == [[200] * 40] * 2


def test_an_edge_sees_one_job_however_many_hosts_ask(here: World) -> None:
    """By the names that its relays come from: each job's its own, whichever relay is reached."""
    program = """
for _ in range(20):
    endpoint = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
    asking = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=60)
    asking.request("GET", "/kept/k")
    asking.getresponse().read()
connection.sendall(b".")  # both go on until both have asked
connection.settimeout(60)
connection.recv(1)
"""
    names = []
    for _ in range(2):
        here.s3.came_from.clear()
        assert [each.cause for each in run(here, specs(here, TALK + program, 2))] == ["completed"] * 2
        relayed = [each for each in here.s3.came_from if isinstance(each, bytes)]
        assert len(set(relayed)) == 40
        names.append({each.rpartition(b"/")[0] for each in relayed})
    assert [len(each) for each in names] == [1, 1] and names[0] != names[1]


def test_isolated_ones_reach_each_other_and_nothing_else(here: World) -> None:
    program = """
try:
    socket.create_connection(("169.254.170.2", 80), 2)
except OSError:
    tell([names, [each for each in os.environ if each.startswith("AWS_ENDPOINT")]])
"""
    launched = specs(here, TALK + program, 2, network_isolation=True)
    assert [each.cause for each in run(here, launched)] == ["completed"] * 2
    assert told(here, launched[0]) == [["algo-2 at 127.0.0.3"], []]


def test_none_begins_before_all_are_there(here: World) -> None:
    launched = specs(here, "tell('began')", 2, stop_grace=0.5)
    here.compute.launch(launched[0])
    started = here.settings.instances / launched[0].id / "started"
    here.wait(launched[0].id, lambda _: started.exists(), PATIENCE)
    here.compute.stop(launched[0].id)
    assert ended(here, launched[:1])[0].cause == "stopped"
    assert told(here, launched[0]) is None


def test_one_that_fails_takes_the_model_with_it(here: World) -> None:
    program = """
(layout.model / host).write_text("unfinished")
(layout.output_data / host).write_text("data")
if host != hosts[0]:
    layout.failure.write_text("it was me")
    os._exit(5)
"""
    launched = specs(here, TALK + program, 2, output="s3://out/failed/output")
    first, second = run(here, launched)
    assert (first.cause, first.model) == ("completed", "")
    assert (second.cause, second.failure) == ("failed", "AlgorithmError: it was me, exit code: 5")
    assert "failed/output/model.tar.gz" not in here.s3.buckets["out"]
    assert sorted(output(here, launched[0], "output.tar.gz")) == ["algo-1", "algo-2"]


@pytest.mark.parametrize("which", [0, 1])
def test_one_that_never_came_leaves_the_others_to_be_stopped(here: World, which: int) -> None:
    launched = specs(here, TALK, 2)
    values = vars_of(launched[which])
    wrong = here.channel("train", "s3://of-nobody/x", hosts=("algo-1", "algo-2"))
    launched[which] = here.spec(**{**values, "channels": (wrong,)})
    for spec in launched:
        here.compute.launch(spec)
    assert "NoSuchBucket" in ended(here, [launched[which]])[0].failure
    here.compute.stop(launched[1 - which].id)
    assert ended(here, [launched[1 - which]])[0].cause == "stopped"


def test_plain_processes_have_no_network_of_their_own() -> None:
    with world("plain") as there:
        records = run(there, specs(there, "tell(1)", 2))
        assert all("several instances needs a network of its own" in each.failure for each in records)
