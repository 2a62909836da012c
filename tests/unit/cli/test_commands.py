"""The commands, run as a user runs them, against a control socket whose answers the test gives."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.cli import up
from clary.config import Settings
from clary.server import home, processes, questions
from clary.server.certificates import Authority
from clary.server.control import ControlServer
from clary.server.frames import questions_socket
from clary.server.questions import Keys, LogPage, Refused, Status, answering, as_answer
from clary.wire.messages import Response

Clary = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({}, home=tmp_path / "home", port=17467)


@pytest.fixture
def clary(settings: Settings, tmp_path: Path) -> Clary:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        where = {"CLARY_HOME": str(settings.home), "HOME": str(tmp_path / "user"), **environment}
        return subprocess.run(
            [sys.executable, "-m", "clary.cli", *words],
            env=inherited | where,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    return run


class Answers:
    """What the server answers; tests change it."""

    def __init__(self) -> None:
        self.pages = [LogPage([(1, "j/algo-1", "one"), (2, "j/algo-1", "two")], "t1", True)]

    def session(self, question: dict[str, Any]) -> dict[str, Any]:
        expires = time.time() + question["seconds"]
        return as_answer(Keys("ASIAEXAMPLE", "se'cret", "tok/en", expires))

    def root_key(self, _question: dict[str, Any]) -> dict[str, Any]:
        return as_answer(Keys("AKIAEXAMPLE", "root"))

    def status(self, _question: dict[str, Any]) -> dict[str, Any]:
        return as_answer(Status("0.1.0", 1, time.time() - 60, "123456789012", "us-east-1", {"endpoints in service": 2}))

    def job_logs(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["job"] != "j":
            raise Refused(f"There is no job or endpoint {question['job']!r}.")
        tokens = ["", *(page.token for page in self.pages)]
        number = tokens.index(question["token"])
        done = number >= len(self.pages)
        return as_answer(LogPage([], question["token"], True) if done else self.pages[number])


@pytest.fixture
def server(settings: Settings) -> Iterator[Answers]:
    """A server in this process: a pid file that names it, and its control socket."""
    home.prepare(settings)
    answers = Answers()
    table = {
        "session": answers.session,
        "root-key": answers.root_key,
        "status": answers.status,
        "job-logs": answers.job_logs,
    }
    control = ControlServer(settings.run / "control.sock", lambda request: Response(404), answering(table), threads=2)
    control.start()
    processes.record(home.supervisor_file(settings), os.getpid(), host="127.0.0.1", port=settings.port)
    yield answers
    control.stop()


def test_version(clary: Clary) -> None:
    assert "Clary 0.1.0" in clary("version").stdout
    assert json.loads(clary("version", "--json").stdout)["version"] == "0.1.0"


@pytest.mark.parametrize("words", [[], ["nonsense"], ["up", "--port", "x"]])
def test_bad_usage_is_exit_code_2(clary: Clary, words: list[str]) -> None:
    done = clary(*words)
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize("words", [["env"], ["run", "true"], ["logs", "j"], ["configure"], ["credentials"]])
def test_without_a_server_the_next_step_is_said(clary: Clary, words: list[str]) -> None:
    done = clary(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("clary: No server runs with this home")
    assert "clary up" in done.stderr


def test_status_tells_of_jobs_that_outlived_a_killed_server(clary: Clary, settings: Settings) -> None:
    home.prepare(settings)
    (settings.run / "agent-gone-1.pid").write_text('{"pid": 1, "start": 1}')
    assert "live on" not in clary("status").stdout
    processes.record(settings.run / "agent-job-1.pid", os.getpid())
    done = clary("status")
    assert done.returncode == 1
    assert "1 instance(s) of jobs and endpoints live on without it" in done.stdout


def test_down_without_a_server_is_fine_and_says_so(clary: Clary) -> None:
    done = clary("down")
    assert done.returncode == 0
    assert "Nothing runs" in done.stdout
    assert json.loads(clary("down", "--json").stdout)["stopped"] is False


def test_down_ends_what_a_killed_server_left(clary: Clary, settings: Settings) -> None:
    home.prepare(settings)
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as left:
        processes.record(settings.run / "agent-a.pid", left.pid)
        (settings.run / "agents.sock").touch()
        done = clary("down")
        assert done.returncode == 0
        assert "has stopped" in done.stdout
        assert left.wait(20) != 0
    assert not list(settings.run.glob("*"))  # nor the folder, where it is in the temporary one


def test_down_refuses_while_another_supervisor_holds_the_home(clary: Clary, settings: Settings) -> None:
    home.prepare(settings)
    with home.locked(settings):
        done = clary("down")
    assert done.returncode == 1
    assert "runs with this home already" in done.stderr


def test_status(clary: Clary, server: Answers, settings: Settings) -> None:
    done = clary("status")
    assert done.returncode == 0
    assert "http://127.0.0.1:17467" in done.stdout
    assert "2  endpoints in service" in done.stdout
    facts = json.loads(clary("status", "--json").stdout)
    assert (facts["running"], facts["answers"], facts["pid"]) == (True, True, os.getpid())
    assert facts["counts"] == {"endpoints in service": 2}
    home.supervisor_file(settings).unlink()
    done = clary("status", "--json")
    assert (done.returncode, json.loads(done.stdout)["running"]) == (1, False)


def test_env_is_for_a_shell(clary: Clary, server: Answers, settings: Settings) -> None:
    done = clary("env", AWS_PROFILE="mine", AWS_ENDPOINT_URL_S3="http://elsewhere")
    assert done.returncode == 0
    script = f"export AWS_PROFILE=x\n{done.stdout}\nenv -0"
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    values = dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)
    assert values["AWS_ACCESS_KEY_ID"] == "ASIAEXAMPLE"
    assert values["AWS_SECRET_ACCESS_KEY"] == "se'cret"
    assert values["AWS_SESSION_TOKEN"] == "tok/en"
    assert values["AWS_DEFAULT_REGION"] == values["AWS_REGION"] == "us-east-1"
    assert values["HTTPS_PROXY"] == values["https_proxy"] == values["HTTP_PROXY"] == "http://127.0.0.1:17467"
    assert "127.0.0.1" in values["NO_PROXY"]
    assert "AWS_PROFILE" not in values
    assert "AWS_ENDPOINT_URL_S3" in done.stdout.splitlines()[0]
    bundle = Path(values["AWS_CA_BUNDLE"]).read_text()
    assert (settings.secrets / "ca.pem").read_text().strip() in bundle
    assert bundle.count("BEGIN CERTIFICATE") > 1


def test_env_names_its_roots_to_every_client(clary: Clary, server: Answers, settings: Settings, tmp_path: Path) -> None:
    """Those that the user named, for AWS's clients or for others, are among them."""
    ours, named = settings.home / "ca-bundle.pem", {}
    for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        named[variable] = str(Authority.open(tmp_path / variable).path)
    for environment in (named, dict.fromkeys(named, str(ours)), {"SSL_CERT_FILE": "/not/there.pem"}):
        facts = json.loads(clary("env", "--json", **environment).stdout)
        assert {facts[variable] for variable in named} == {str(ours)}
        if environment is named:
            assert all(Path(each).read_text().strip() in ours.read_text() for each in named.values())


def test_run_gives_a_configuration_to_who_has_none(
    clary: Clary, server: Answers, settings: Settings, tmp_path: Path
) -> None:
    """`aws configure get region` looks there; what configures goes on with the user's own file."""
    show = ("run", sys.executable, "-c", "import os; print(os.environ.get('AWS_CONFIG_FILE'))")
    ours = settings.home / "aws-config-us-east-1"
    assert clary(*show).stdout.strip() == str(ours)
    assert ours.read_text() == "[default]\nregion = us-east-1\n"
    assert clary(*show, AWS_CONFIG_FILE="/of/mine").stdout.strip() == "/of/mine"
    config = tmp_path / "user" / ".aws" / "config"
    assert str(config) in clary("configure", "--yes", AWS_CONFIG_FILE=str(ours)).stdout
    assert config.exists()
    assert clary(*show).stdout.strip() == "None"


def test_env_by_endpoint_and_with_the_root_key(clary: Clary, server: Answers) -> None:
    facts = json.loads(clary("env", "--root", "--endpoint-url", "--json").stdout)
    assert facts == {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "root",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:17467",
        "SAGEMAKER_INTERNAL_IMAGE_URI": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python:1.0",
    }
    mine = clary("env", "--json", SAGEMAKER_INTERNAL_IMAGE_URI="of/mine:1")
    assert "SAGEMAKER_INTERNAL_IMAGE_URI" not in json.loads(mine.stdout)


def test_env_says_that_it_replaces_a_proxy(clary: Clary, server: Answers) -> None:
    assert "replaces your proxy http://outer:3128" in clary("env", HTTPS_PROXY="http://outer:3128").stderr


def test_run_becomes_the_command(clary: Clary, server: Answers) -> None:
    show = (
        "import os, sys; print(os.environ['AWS_ACCESS_KEY_ID'], 'AWS_PROFILE' in os.environ, sys.argv[1:]); sys.exit(7)"
    )
    done = clary("run", sys.executable, "-c", show, "--home", "x", AWS_PROFILE="mine")
    assert (done.returncode, done.stdout) == (7, "ASIAEXAMPLE False ['--home', 'x']\n")
    assert clary("run", "--", "true").returncode == 0
    done = clary("run", "no-such-command")
    assert (done.returncode, done.stderr) == (127, "clary: There is no command 'no-such-command' on the PATH.\n")
    done = clary("run", "/etc/passwd")
    assert (done.returncode, done.stderr) == (126, "clary: /etc/passwd cannot be run: it is no executable file.\n")
    assert "Say what to run" in clary("run").stderr


def test_credentials_are_what_a_profiles_process_prints(clary: Clary, server: Answers) -> None:
    document = json.loads(clary("credentials").stdout)
    assert document["Version"] == 1
    assert document["Expiration"].endswith("+00:00")


def test_logs_once_and_followed(clary: Clary, server: Answers) -> None:
    assert clary("logs", "j").stdout == "one\ntwo\n"
    assert json.loads(clary("logs", "j", "--json").stdout.splitlines()[1]) == {
        "timestamp": 2,
        "stream": "j/algo-1",
        "message": "two",
    }
    server.pages += [
        LogPage([], "t2", False),
        LogPage([(3, "j/algo-2", "three")], "t3", False),
        LogPage([(4, "j/algo-1", "four")], "t4", True),
    ]
    assert clary("logs", "j", "--follow").stdout.splitlines() == ["one", "two", "j/algo-2  three", "j/algo-1  four"]
    done = clary("logs", "none")
    assert (done.returncode, done.stderr) == (1, "clary: There is no job or endpoint 'none'.\n")


def test_a_server_that_does_not_answer_is_said(clary: Clary, server: Answers, settings: Settings) -> None:
    questions_socket(settings.run / "control.sock").unlink()
    done = clary("status")
    assert done.returncode == 1
    assert "does not answer" in done.stdout
    assert clary("env").returncode == 1


def test_up_on_a_taken_port_says_what_to_do(clary: Clary) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for words in (["up", "--port", port], ["up", "--port", port, "--detach"]):
            done = clary(*words)
            assert (done.returncode, done.stdout) == (1, "")
            assert f"Port {port} is taken" in done.stderr
            assert "--port" in done.stderr
    assert "is no port" in clary("up", "--port", "70000").stderr


def test_up_in_an_occupied_home_names_who_is_there(clary: Clary, settings: Settings, server: Answers) -> None:
    with home.locked(settings):
        done = clary("up", "--port", "0", "--detach", CLARY_PROT="1")
    assert done.returncode == 1
    assert f"process {os.getpid()}, port 17467" in done.stderr
    assert "CLARY_PROT is no setting and is ignored" in done.stderr


def test_a_bad_setting_is_named(clary: Clary) -> None:
    done = clary("status", CLARY_PORT="many")
    assert (done.returncode, done.stderr) == (
        1,
        "clary: CLARY_PORT='many' is not a whole number. Correct the variable, or unset it.\n",
    )


def test_doctor(clary: Clary) -> None:
    done = clary("doctor", "--json", CLARY_PORT="0")
    states = {finding["name"]: finding["state"] for finding in json.loads(done.stdout)["findings"]}
    assert states["python"] == "ok"
    assert {"uv", "home", "images", "port", "machine"} < set(states)
    assert done.returncode == int("missing" in states.values())


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_doctor_tells_of_docker_where_containers_run(clary: Clary, tmp_path: Path) -> None:
    def found() -> tuple[str, str]:
        findings = json.loads(clary("doctor", "--json", CLARY_PORT="0", PATH=str(tmp_path)).stdout)["findings"]
        return next(((each["state"], each["words"]) for each in findings if each["name"] == "docker"), ("", ""))

    (tmp_path / "docker").touch(0o755)
    assert found() == ("", "")
    (tmp_path / "podman").write_text("#!/bin/sh\necho 4.3.1 runc\n")
    (tmp_path / "podman").chmod(0o755)
    assert found()[0] == "ok"
    (tmp_path / "docker").unlink()
    assert (found()[0], "apt-get install podman-docker" in found()[1]) == ("note", True)


def test_doctor_in_brief_says_how_jobs_are_shut_in(clary: Clary) -> None:
    done = clary("doctor", "--brief")
    assert done.returncode == 0
    assert done.stdout.startswith("isolation: ")
    assert len(done.stdout.splitlines()) <= 2
    assert clary("doctor", "--brief", CLARY_ISOLATION="plain").stdout.startswith("isolation: plain. ")
    wrong = clary("doctor", "--brief", CLARY_ISOLATION="wishful")
    assert (wrong.returncode, "is not one of" in wrong.stdout) == (1, True)


def test_an_isolation_that_cannot_be_had_stops_the_start(clary: Clary) -> None:
    done = clary("up", "--port", "0", CLARY_ISOLATION="wishful")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CLARY_ISOLATION='wishful' is not one of" in done.stderr


def test_the_banner_says_where_jobs_are_not_isolated_and_where_others_get_in(tmp_path: Path) -> None:
    facts = {"version": "1", "seconds": 1.0, "url": "http://127.0.0.1:1"}
    here = up._banner(Settings.load({}, home=tmp_path), facts, "namespaces", "Ctrl-C")
    assert "not isolated" not in here
    assert "Other machines" not in here
    assert f"run --home {tmp_path} python train.py" in here
    bare = up._banner(Settings.load({}, home=tmp_path, host="0.0.0.0"), facts, "plain", "Ctrl-C")
    assert "Jobs are not isolated" in bare
    assert "Other machines can reach it" in bare


def test_hints_name_the_home_where_it_is_not_the_default(clary: Clary, settings: Settings) -> None:
    assert f"`clary up --home {settings.home}`" in clary("env").stderr
    assert f" run --home {settings.home} python train.py" in clary("run").stderr
    assert clary("run").returncode == 2
    assert "--home" not in clary("status", "--home", "~/.local/share/clary").stdout


def test_help_is_one_column_and_stands_for_no_command_too(clary: Clary) -> None:
    help_text = clary("--help", COLUMNS="100").stdout
    assert "  credentials  print a session" in help_text
    assert "COMMAND\n" not in help_text
    assert clary(COLUMNS="100").stderr == help_text


def test_configure_asks_and_can_be_taken_back(clary: Clary, server: Answers, tmp_path: Path) -> None:
    config = tmp_path / "user" / ".aws" / "config"
    config.parent.mkdir(parents=True)
    mine = "[profile mine]\nregion = eu-west-1"
    config.write_text(mine)
    config.chmod(0o640)
    done = clary("configure")
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert config.read_text() == mine
    for _ in range(2):
        assert clary("configure", "--yes", "--endpoints").returncode == 0
    assert config.read_text().startswith(mine + "\n")
    assert config.read_text().count("[profile clary]") == 1
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    _check_with_botocore(config, tmp_path)
    assert clary("configure", "--undo").returncode == 0
    assert config.read_text() == mine + "\n"
    assert not (tmp_path / "user" / ".aws" / "models" / "endpoints.json").exists()
    assert "nothing to take back" in clary("configure", "--undo").stdout


def _check_with_botocore(config: Path, tmp_path: Path) -> None:
    """An untouched botocore finds the profile, its session, and STS at our address."""
    script = (
        "import botocore.session, botocore.regions, botocore.loaders as loaders\n"
        "session = botocore.session.Session(profile='clary')\n"
        "print(session.get_credentials().get_frozen_credentials().access_key, session.get_config_variable('region'))\n"
        "resolver = botocore.regions.EndpointResolver(loaders.create_loader().load_data('endpoints'))\n"
        "print(resolver.construct_endpoint('sts', 'eu-west-1')['hostname'])\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path / "user"), "AWS_CONFIG_FILE": str(config)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["ASIAEXAMPLE", "us-east-1", "localhost:17467"]


def test_configure_leaves_what_is_not_its_own(clary: Clary, server: Answers, tmp_path: Path) -> None:
    config = tmp_path / "user" / ".aws" / "config"
    models = config.parent / "models" / "endpoints.json"
    models.parent.mkdir(parents=True)
    models.write_text("{}")
    done = clary("configure", "--yes", "--endpoints")
    assert (done.returncode, models.read_text()) == (1, "{}")
    assert not config.exists()
    config.write_text("[profile clary]\nregion = x\n")
    done = clary("configure", "--yes")
    assert done.returncode == 1
    assert "--profile" in done.stderr


def test_questions_that_a_server_does_not_know_are_refused(server: Answers, settings: Settings) -> None:
    with pytest.raises(Refused, match="does not know"):
        questions.ask(settings.run / "control.sock", {"ask": "weather"})
