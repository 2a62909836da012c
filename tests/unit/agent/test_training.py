"""Training instances end to end: real launcher, fork server, sandbox, agent, link."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tarfile
import time
import zlib
from pathlib import Path

from agent_world import World
from clary.contract.instance import ExitRecord, MetricDefinition
from clary.contract.processes import running

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def _exit(here: World, program: str, **given: object) -> ExitRecord:
    record = here.run(here.spec(program, **given)).exit
    assert record is not None
    return record


def _archive(here: World, uri: str) -> dict[str, bytes]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with tarfile.open(fileobj=io.BytesIO(here.s3.buckets[bucket][key])) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr]


def test_inputs_reach_the_job_and_outputs_come_back(here: World) -> None:
    here.s3.buckets["data"] = {"train/a.csv": b"1,2\n", "train/sub/b.csv": b"x", "other": b"no"}
    program = """
import json
channel = layout.channel("train")
print(sorted(str(each.relative_to(channel)) for each in channel.rglob("*") if each.is_file()))
print(json.loads(layout.resource_config.read_text())["current_host"], os.environ["TRAINING_JOB_NAME"])
print(json.loads(layout.input_data_config.read_text()))
(layout.model / "m").write_text("model")
(layout.output_data / "o").write_text("data")
(layout.input / "writable").write_text("x")
print("a\\tloss:0.25;"); print("a\\tloss:0.125;")
"""
    spec = here.spec(
        program,
        output="s3://out/first/output",
        channels=(here.channel("train", "s3://data/train", content_type="text/csv"),),
        metrics=(MetricDefinition("loss", "#011loss:([0-9.]+)"), MetricDefinition("bad", "(a+)+$x")),
    )
    seen = here.run(spec)
    assert seen.exit is not None
    assert (seen.exit.cause, seen.exit.exit_code, seen.exit.failure) == ("completed", 0, "")
    assert here.lines(spec.id) == [
        "['a.csv', 'sub/b.csv']",
        "algo-1 job",
        "{'train': {'TrainingInputMode': 'File', 'S3DistributionType': 'FullyReplicated', "
        "'RecordWrapperType': 'None', 'ContentType': 'text/csv'}}",
        "a\tloss:0.25;",
        "a\tloss:0.125;",
    ]
    assert seen.exit.metrics["loss"][0] == 0.125
    assert seen.exit.model == "s3://out/first/output/model.tar.gz"
    assert _archive(here, seen.exit.model) == {"m": b"model"}
    assert _archive(here, "s3://out/first/output/output.tar.gz") == {"o": b"data"}
    assert [each.name for each in seen.phases] == ["Starting", "Downloading", "Training", "Uploading"]


def test_a_server_that_lends_nothing_gets_the_bytes(here: World) -> None:
    """One that takes the question for an empty object."""
    program = "(layout.model / 'm').write_bytes(os.urandom(1 << 20))"
    record = _exit(here, program, output="s3://out/large/output", output_compression="NONE")
    assert record.cause == "completed"
    assert len(here.s3.buckets["out"]["large/output/model/m"]) == 1 << 20


def test_uncompressed_outputs(here: World) -> None:
    program = "(layout.model / 'd').mkdir(); (layout.model / 'd' / 'm').write_text('1')"
    record = _exit(here, program, output="s3://out/plain/output", output_compression="NONE")
    assert record.model == "s3://out/plain/output/model/"
    assert here.s3.buckets["out"]["plain/output/model/d/m"] == b"1"


def test_failures_have_class_text_and_code(here: World) -> None:
    said = "(layout.failure).write_text('it broke'); sys.exit(3)"
    record = _exit(here, said, output="s3://out/bad/output")
    assert (record.cause, record.exit_code) == ("failed", 3)
    assert record.failure == "AlgorithmError: it broke, exit code: 3"
    assert not [key for key in here.s3.buckets["out"] if key.startswith("bad/")]
    client = "(layout.failure).write_text('ClientError: bad label'); sys.exit(1)"
    assert _exit(here, client).failure == "ClientError: bad label, exit code: 1"
    silent = "os.kill(os.getpid(), 9)"
    assert _exit(here, silent).failure == "AlgorithmError: , exit code: 137"
    long = "(layout.failure).write_text('x' * 5000); sys.exit(1)"
    assert len(_exit(here, long).failure) == 1024


def test_a_traceback_reaches_the_log(here: World) -> None:
    spec = here.spec("raise ValueError('mine')")
    seen = here.run(spec)
    assert seen.exit is not None and seen.exit.exit_code == 1
    assert "ValueError: mine" in here.lines(spec.id)


def test_data_errors_name_the_uri_and_the_remedy(here: World) -> None:
    here.s3.buckets["data2"] = {"k": b"1", "k/x": b"2", "m": b'[{"prefix": "s3://data2/"}, "gone"]'}
    here.s3.buckets["locked"] = {}
    here.s3.forbidden.add("locked")
    for source, expected, given in (
        ("s3://data2/none/", "ClientError: Data download failed:No objects found with S3 prefix s3://data2/none/", {}),
        ("s3://nobucket/a", "ClientError: Data download failed:NoSuchBucket: Not Found (s3://nobucket/a)", {}),
        ("s3://locked/a", "ClientError: Data download failed:AccessDenied: Forbidden (s3://locked/a)", {}),
        ("s3://data2/", "ClientError: Data download failed:s3://data2/k and s3://data2/k/x cannot both", {}),
        (
            "s3://data2/m",
            "ClientError: Data download failed:NoSuchKey: Not Found (s3://data2/gone)",
            {"source_type": "ManifestFile"},
        ),
        ("s3://data2/k", "ClientError: Channel c: InputMode=Pipe is not built", {"mode": "Pipe"}),
    ):
        record = _exit(here, "print('never')", channels=(here.channel("c", source, **given),))
        assert (record.cause, record.exit_code) == ("failed", None)
        assert record.failure.startswith(expected), record.failure


def test_transfers_survive_refusals_breaks_and_expired_keys(here: World) -> None:
    here.s3.buckets["flaky"] = {"a": os.urandom(300_000)}
    here.s3.failing, here.s3.cut = 2, 2
    program = "import zlib; print(zlib.crc32((layout.channel('c') / 'a').read_bytes()))"
    spec = here.spec(program, channels=(here.channel("c", "s3://flaky/a"),))
    here.s3.dead_key = "AKIA" + str(int(next(here.keys).removeprefix("AKIA")) + 1)  # the next session's
    seen = here.run(spec)
    assert seen.exit is not None and seen.exit.cause == "completed", seen
    assert here.lines(spec.id) == [str(zlib.crc32(here.s3.buckets["flaky"]["a"]))]
    assert here.s3.cut == 0


def test_stop_is_term_then_kill_and_what_there_is_is_uploaded(here: World) -> None:
    spec = here.spec("(layout.model / 'm').write_text('1')\n" + SLEEP, output="s3://out/stopped/output")
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    here.compute.stop(spec.id)
    here.compute.stop(spec.id)
    record = here.wait(spec.id, lambda seen: seen.state == "exited").exit
    assert record is not None
    assert (record.cause, record.exit_code, record.failure) == ("stopped", 143, "")
    assert _archive(here, record.model) == {"m": b"1"}


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(here: World) -> None:
    spec = here.spec("import signal; signal.signal(15, signal.SIG_IGN)\n" + SLEEP, stop_grace=0.3)
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    here.compute.stop(spec.id)
    record = here.wait(spec.id, lambda seen: seen.state == "exited").exit
    assert record is not None and (record.cause, record.exit_code) == ("stopped", 137)


def test_the_time_limit_ends_the_whole_tree(here: World) -> None:
    program = "import subprocess; subprocess.Popen(['sleep', '600'])\n" + SLEEP
    spec = here.spec(program, max_runtime=0.5)
    before = time.time()
    seen = here.run(spec)
    record = seen.exit
    assert record is not None and record.cause == "max-runtime"
    assert [each.name for each in seen.phases] == ["Starting", "Training", "Stopping", "Uploading"]
    assert time.time() - before < 20


def test_launching_twice_runs_once(here: World) -> None:
    spec = here.spec("print('once')")
    for _ in range(3):
        here.compute.launch(spec)
    here.wait(spec.id, lambda seen: seen.state == "exited")
    here.wait(spec.id, lambda _: here.agent_pid(spec.id) is None)
    here.compute.launch(spec)
    assert here.agent_pid(spec.id) is None
    assert here.lines(spec.id) == ["once"]


def test_a_killed_agent_takes_its_sandbox_along_and_is_lost(here: World) -> None:
    spec = here.spec("print('sleeping', flush=True); os.execv('/bin/sleep', ['sleep', '613.5'])")
    here.compute.launch(spec)
    here.wait_line(spec.id, "sleeping")
    here.wait(spec.id, lambda _: _processes("613.5") == 1)
    pid = here.agent_pid(spec.id)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    here.wait(spec.id, lambda seen: seen.state == "lost")
    here.wait(spec.id, lambda _: _processes("613.5") == 0)
    here.compute.launch(spec)
    assert here.compute.observe(spec.id).state == "lost"
    groups = (here.settings.instances / spec.id / "groups").read_text().splitlines()
    here.compute.discard(spec.id)
    assert not [each for each in groups if Path(each).exists()]
    assert not (here.settings.instances / spec.id).exists()


def test_a_job_waits_in_its_sandbox_for_its_inputs(here: World) -> None:
    here.s3.buckets["late"] = {"a": b"1"}
    here.s3.stop()
    program = "print((layout.channel('c') / 'a').read_text())"
    spec = here.spec(program, channels=(here.channel("c", "s3://late/a"),))
    here.compute.launch(spec)
    here.wait(spec.id, lambda _: here.sandboxed(spec.id) > 0)
    assert not (here.settings.instances / spec.id / "started").exists()
    here.s3.start(here.port)
    assert here.wait(spec.id, lambda seen: seen.state == "exited").exit is not None
    assert here.lines(spec.id) == ["1"]


def test_a_job_that_waits_ends_with_its_agent_and_was_never_begun(here: World) -> None:
    here.s3.buckets["away"] = {"a": b"1"}
    here.s3.stop()
    spec = here.spec("print('begun')", channels=(here.channel("c", "s3://away/a"),))
    here.compute.launch(spec)
    here.wait(spec.id, lambda _: here.sandboxed(spec.id) > 0)
    pid = here.agent_pid(spec.id)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    here.wait(spec.id, lambda seen: seen.state == "lost" and not here.sandboxed(spec.id))
    here.s3.start(here.port)
    assert here.lines(spec.id) == []
    assert not (here.settings.instances / spec.id / "started").exists()
    here.compute.discard(spec.id)


def _processes(argument: str) -> int:
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found += (entry / "cmdline").read_bytes() == b"sleep\0" + argument.encode() + b"\0"
    return found


def test_a_dead_fork_server_ends_no_job_and_the_next_launch_has_a_new_one(here: World) -> None:
    spec = here.spec("import time; print('up', flush=True)\nwhile not (layout.input / 'go').exists(): time.sleep(0.01)")
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    pids = [running(path) for path in here.settings.run.glob("fork-*.pid")]
    for pid in filter(None, pids):
        os.kill(pid, signal.SIGKILL)
    assert _exit(here, "pass").cause == "completed"
    (here.settings.instances / spec.id / "ml" / "input" / "go").write_text("")
    record = here.wait(spec.id, lambda seen: seen.state == "exited").exit
    assert record is not None and record.cause == "completed"


def test_a_restarted_launcher_finds_everything(here: World) -> None:
    spec = here.spec("import time; print('up', flush=True)\nwhile not (layout.input / 'go').exists(): time.sleep(0.01)")
    here.compute.launch(spec)
    here.wait_line(spec.id, "up")
    servers = [running(path) for path in here.settings.run.glob("fork-*.pid")]
    here.launcher.kill()
    here.launcher.wait()
    here.start_launcher()
    assert _exit(here, "pass").cause == "completed"
    assert [running(path) for path in here.settings.run.glob("fork-*.pid")] == servers
    (here.settings.instances / spec.id / "ml" / "input" / "go").write_text("")
    assert here.wait(spec.id, lambda seen: seen.state == "exited").exit is not None
