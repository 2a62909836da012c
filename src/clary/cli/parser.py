"""The words of the command line. Each command's module is imported when the command runs: `clary` starts at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path

from clary import __version__

Command = Callable[[argparse.Namespace], int]


class _Help(argparse.HelpFormatter):
    """Commands in one column, like options, and without argparse's line that names no command."""

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        for each in super()._iter_indented_subactions(action):
            self._dedent()  # one step too far to the right for the column that argparse measured
            yield each
            self._indent()

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if action.nargs == argparse.PARSER else text


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="clary",
        formatter_class=_Help,
        description="Amazon SageMaker on your own machines.",
        epilog="Settings can also be given as CLARY_* variables, for instance CLARY_HOME and CLARY_PORT.",
    )
    top.add_argument("--version", action="version", version=f"Clary {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _up(_command(commands, "up", "start a server (in the foreground; Ctrl-C stops it)"))
    _command(commands, "down", "stop the server and everything that it runs")
    _command(commands, "status", "say whether a server runs, and what it is doing")
    _pointing(_command(commands, "env", 'print what points AWS clients at the server: eval "$(clary env)"'))
    _run(_command(commands, "run", "run a command whose AWS calls go to the server"))
    _configure(_command(commands, "configure", "write a profile for AWS clients (asks first; --undo takes it back)"))
    _command(commands, "credentials", "print a session for `credential_process` of an AWS profile")
    _doctor(_command(commands, "doctor", "say what this machine can do, and what is missing"))
    _logs(_command(commands, "logs", "print what a job or an endpoint printed"))
    _accounts(_command(commands, "accounts", "list the accounts of a server, or make those of a file"))
    _images(_command(commands, "images", "list, build and remove the environments that images stand for"))
    _backup(_command(commands, "backup", "write everything of a server into one file, while it runs"))
    _restore(_command(commands, "restore", "make a fresh home of a backup"))
    _command(commands, "version", "print the version")
    return top


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str
) -> argparse.ArgumentParser:
    text = description[0].upper() + description[1:] + "."
    command = commands.add_parser(name, help=description, description=text, formatter_class=_Help)
    command.add_argument("--home", type=Path, metavar="FOLDER", help="where everything is kept (CLARY_HOME)")
    if name != "run":  # which gives over to the command that it runs
        command.add_argument("--json", action="store_true", help="answer in JSON")
    command.set_defaults(command=_lazily(f"clary.cli.{name}"))
    return command


def _lazily(module: str) -> Command:
    def command(given: argparse.Namespace) -> int:
        code: int = import_module(module).command(given)
        return code

    return command


def _accounts(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("ls", help="list the accounts", formatter_class=_Help)
    _again(listing)
    listing.add_argument("--keys", action="store_true", help="with the secret keys of their roots")
    listing.set_defaults(action="ls")
    applying = actions.add_parser("apply", help="make the accounts of a file", formatter_class=_Help)
    _again(applying)
    applying.add_argument("file", type=Path, metavar="FILE", help="TOML or JSON: accounts, their first keys and users")
    applying.set_defaults(action="apply")


def _images(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    words = {
        "ls": "list the environments, and whether they are built",
        "pull": "build what the images of these URIs stand for",
        "build": "build environments (all of them, if none is named)",
        "register": "let a folder of programs, or an environment for scripts, stand for an image",
        "rm": "remove environments (the next job that needs one builds it again), or what stands for these URIs",
        "gc": "remove the environments, copies of folders and container images that no job will start in again, "
        "and the layers that no image needs",
    }
    for name, about in words.items():
        action = actions.add_parser(name, help=about, formatter_class=_Help)
        _again(action)
        if name in ("pull", "build", "rm"):
            kind = {"pull": "URI", "rm": "NAME|URI"}.get(name, "NAME")
            action.add_argument("names", nargs="*" if name == "build" else "+", metavar=kind)
        if name == "register":
            _register(action)
        if name in ("register", "rm"):
            action.add_argument("--account", metavar="ID", help="whose image it is (default: the server's own account)")
        action.set_defaults(action=name)


def _register(action: argparse.ArgumentParser) -> None:
    action.add_argument("uri", metavar="URI", help="what jobs and models name as their image")
    about = "a folder with train and serve, or an environment for scripts"
    action.add_argument("target", type=Path, metavar="FOLDER|ENVIRONMENT", help=about)
    action.add_argument("--environment", metavar="NAME", help="in which the programs run (default scikit-learn)")


def _again(action: argparse.ArgumentParser) -> None:
    """What every command takes may stand behind its action as well."""
    action.add_argument("--home", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _up(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, help="the one port; 0 takes any free one (default 7467, CLARY_PORT)")
    command.add_argument("--host", help="the address to listen on (default 127.0.0.1: this machine only)")
    command.add_argument("--detach", action="store_true", help="return when the server is ready; it goes on running")


def _pointing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", action="store_true", help="the root key instead of a role's session")
    command.add_argument(
        "--endpoint-url",
        action="store_true",
        help="set AWS_ENDPOINT_URL instead of a proxy for *.amazonaws.com (the SageMaker SDKs need the proxy)",
    )


def _run(command: argparse.ArgumentParser) -> None:
    _pointing(command)
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")


def _configure(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", default="clary", help="the profile's name (default clary)")
    command.add_argument(
        "--endpoints",
        action="store_true",
        help="also write ~/.aws/models/endpoints.json, which sends STS of EVERY profile of yours to Clary",
    )
    command.add_argument("--undo", action="store_true", help="take back what an earlier configure wrote")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--brief", action="store_true", help="only how well jobs are shut in here, in a line or two")
    command.add_argument(
        "--deep", action="store_true", help="instead, read all objects and images and name what is not whole"
    )


def _backup(command: argparse.ArgumentParser) -> None:
    command.add_argument("target", type=Path, metavar="FILE", help="what to write; of a folder: a new file in it")


def _restore(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", type=Path, metavar="FILE", help="a file that `clary backup` wrote")


def _logs(command: argparse.ArgumentParser) -> None:
    command.add_argument("job", metavar="JOB", help="the name of a job or of an endpoint")
    command.add_argument("--follow", "-f", action="store_true", help="go on until the job has ended")
