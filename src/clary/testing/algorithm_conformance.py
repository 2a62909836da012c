"""What every built-in algorithm must do, run against its real environment: `AlgorithmConformance` for pytest, and the
`Workbench` that runs jobs and model servers as an agent would, without a sandbox."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec
from clary.algorithms.errors import ClientError
from clary.config import Settings
from clary.contract.layout import Layout
from clary.images import environments, inside

Channels = Mapping[str, tuple[str, Mapping[str, bytes]]]  # channel -> (content type or "", file name -> content)


@dataclass(frozen=True)
class Outcome:
    """How a training process ended."""

    status: int
    log: str
    failure: str
    layout: Layout


class Workbench:
    """Runs an algorithm's processes in its image environment. `folder` takes their /opt/ml trees. With a `framework`
    it serves scripts of that instead, and `name` is the environment's."""

    def __init__(self, name: str, settings: Settings, folder: Path, framework: str = "") -> None:
        self.folder = folder
        self._runs = {"CLARY_FRAMEWORK": framework} if framework else {"CLARY_ALGORITHM": name}
        lock = name if framework else registry.spec(name).environment
        environment = environments.build(settings, lock, lambda line: None)
        self.python = environment / "bin" / "python"
        self._tree = inside.tree(settings)

    def variables(self, layout: Layout, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self._tree),
            "SAGEMAKER_BASE_DIR": str(layout.base),
            **self._runs,
            **more,
        }

    def layout(self, hyperparameters: Mapping[str, str], channels: Channels, hosts: int = 1) -> Layout:
        """A fresh /opt/ml with these inputs."""
        layout = Layout(Path(tempfile.mkdtemp(dir=self.folder)))
        for path in (*layout.inputs(), *layout.outputs()):
            path.mkdir(parents=True, exist_ok=True)
        layout.hyperparameters.write_text(json.dumps(dict(hyperparameters)))
        names = [f"algo-{n}" for n in range(1, hosts + 1)]
        layout.resource_config.write_text(json.dumps({"current_host": "algo-1", "hosts": names}))
        configs: dict[str, dict[str, str]] = {}
        for name, (content_type, files) in channels.items():
            configs[name] = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
            if content_type:
                configs[name]["ContentType"] = content_type
            for file, content in files.items():
                path = layout.channel(name) / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            layout.channel(name).mkdir(exist_ok=True)
        layout.input_data_config.write_text(json.dumps(configs))
        return layout

    def start(self, layout: Layout) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, "-m", "clary.runner.training"],
            env=self.variables(layout, {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def train(self, hyperparameters: Mapping[str, str], channels: Channels, hosts: int = 1) -> Outcome:
        layout = self.layout(hyperparameters, channels, hosts)
        with self.start(layout) as process:
            log = process.communicate(timeout=100)[0]
        return outcome(process, log, layout)

    def run(self, code: str, *arguments: object, layout: Layout | None = None) -> str:
        """What a Python program prints in the environment, with the inside on its path, and that layout as its own; a
        failure raises."""
        command = [str(self.python), "-c", code, *map(str, arguments)]
        variables = self.variables(layout or Layout(self.folder), {"OMP_WAIT_POLICY": "passive"})
        ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=100)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    @contextlib.contextmanager
    def serving(self, layout: Layout, **environment: str) -> Iterator[ModelClient]:
        """A model server on a unix socket until the block ends; then SIGTERM must end it with status 0."""
        path = f"{tempfile.mkdtemp(prefix='clary-')}/model.sock"
        variables = self.variables(layout, {"CLARY_MODEL_SOCKET": path, **environment})
        process = subprocess.Popen([self.python, "-m", "clary.modelserver"], env=variables)
        try:
            client = ModelClient(path)
            client.wait_until_ready(process)
            yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()


def outcome(process: subprocess.Popen[str], log: str, layout: Layout) -> Outcome:
    failure = layout.failure.read_text() if layout.failure.exists() else ""
    return Outcome(process.returncode, log, failure, layout)


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes


class ModelClient:
    """Speaks HTTP to a model server's unix socket, a connection for each request."""

    def __init__(self, path: str) -> None:
        self.path = path

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(self.path)
        return connection

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Header names are given with `_` for `-`."""
        connection = http.client.HTTPConnection("model")
        connection.sock = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers.get("Content-Type", ""), response.read())
        finally:
            connection.close()

    def invoke(self, body: bytes, content_type: str, accept: str = "") -> Answer:
        headers = {"Content_Type": content_type} | ({"Accept": accept} if accept else {})
        return self.request("POST", "/invocations", body, **headers)

    def wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float = 100) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self.request("GET", "/ping").status == 200:
                    return
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the model server did not start (status {process.returncode})")
            select.select([], [], [], 0.02)


class AlgorithmConformance:
    """Subclass it with fixtures `spec` and `bench` (a Workbench of that algorithm)."""

    def channels(self, spec: AlgorithmSpec) -> dict[str, tuple[str, dict[str, bytes]]]:
        return {name: (kind, {"data": content}) for name, (kind, content) in spec.example.channels.items()}

    def test_the_declaration_needs_only_the_standard_library(self, spec: AlgorithmSpec) -> None:
        code = f"import sys; sys.path.insert(0, {str(Path(registry.__file__).parents[2])!r})\n"
        code += f"import clary.algorithms.{spec.name}.spec\n"
        code += "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'botocore', 'sqlalchemy', 'httptools')])"
        ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "[]"

    def test_metric_regexes_find_a_number(self, spec: AlgorithmSpec) -> None:
        assert len({metric.name for metric in spec.metrics}) == len(spec.metrics)
        assert all(re.compile(metric.regex).groups == 1 for metric in spec.metrics)

    def test_unknown_hyperparameters_are_refused_and_the_services_own_accepted(self, spec: AlgorithmSpec) -> None:
        given = dict(spec.example.hyperparameters)
        typed = spec.hyperparameters.validate(given)
        assert spec.hyperparameters.validate({**given, "_of_the_service": "1"}) == typed
        try:
            spec.hyperparameters.validate({**given, "no_such_thing": "1"})
        except ClientError as refusal:
            assert "no_such_thing" in str(refusal)
        else:
            raise AssertionError("accepted a hyperparameter that is not declared")

    def test_trains_and_prints_every_metric_it_computes(self, spec: AlgorithmSpec, bench: Workbench) -> None:
        ended = bench.train(spec.example.hyperparameters, self.channels(spec))
        assert (ended.status, ended.failure) == (0, ""), ended.log
        assert (ended.layout.model / spec.model_file).stat().st_size > 0
        seen = ended.log.replace("\t", "#011")
        assert [metric.name for metric in spec.metrics if re.search(metric.regex, seen)]

    def test_bad_input_is_the_clients_error(self, spec: AlgorithmSpec, bench: Workbench) -> None:
        missing = bench.train(spec.example.hyperparameters, {})
        assert missing.status == ClientError.exit_code
        assert missing.failure.startswith("ClientError: Missing required channel")
        garbage = {name: (kind, {"data": b"\x00 no data of ours\n"}) for name, (kind, _) in self.channels(spec).items()}
        unreadable = bench.train(spec.example.hyperparameters, garbage)
        assert (unreadable.status, unreadable.failure[:13]) == (ClientError.exit_code, "ClientError: "), unreadable.log
        hidden = bench.train(
            spec.example.hyperparameters,
            {name: (kind, {**files, ".hidden": b"1"}) for name, (kind, files) in self.channels(spec).items()},
        )
        assert hidden.status in (0, ClientError.exit_code)

    def test_serves_what_it_trained(self, spec: AlgorithmSpec, bench: Workbench) -> None:
        ended = bench.train(spec.example.hyperparameters, self.channels(spec))
        with bench.serving(ended.layout) as client:
            assert client.request("GET", "/ping") == Answer(200, "text/plain; charset=utf-8", b"")
            parameters = json.loads(client.request("GET", "/execution-parameters").body)
            assert parameters["BatchStrategy"] == "MULTI_RECORD"
            for content_type, body in spec.example.requests:
                assert client.invoke(body, content_type).status == 200
                for accept in spec.accepts:
                    answer = client.invoke(body, content_type, accept)
                    assert (answer.status, answer.content_type) == (200, accept), answer
            content_type, body = spec.example.requests[0]
            assert client.invoke(b"", content_type).status == 204
            assert client.invoke(body, "image/png").status == 415
            assert client.invoke(body, content_type, "image/png").status == 406
            assert client.request("GET", "/elsewhere").status == 404
