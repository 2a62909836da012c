"""The tree and the environment a job finds, and the sandbox around it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clary.agent.context import Context, own
from clary.contract.folder import socket_folder, write_whole
from clary.contract.instance import HostGroup, Image, InstanceSpec
from clary.contract.layout import BASE_VARIABLE, Layout
from clary.sandbox import Confinement
from clary.sandbox.limits import Group, make_group

MODEL_SOCKET = "model.sock"
MODEL_SOCKET_VARIABLE = "CLARY_MODEL_SOCKET"
ALGORITHM_VARIABLE = "CLARY_ALGORITHM"
FRAMEWORK_VARIABLE = "CLARY_FRAMEWORK"
IMAGE_TAG_VARIABLE = "CLARY_IMAGE_TAG"
# A sandbox reaches no package index: pip says at once what is missing, and knows what is there.
_NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def make_tree(context: Context) -> None:
    """All folders of the contract; those that the job writes belong to its id."""
    layout = context.layout
    for each in (*layout.inputs(), *layout.outputs()):
        each.mkdir(parents=True, exist_ok=True)
    context.folder.root.mkdir(exist_ok=True)
    if context.spec.image.kind == "container":  # which may run as another user than its root
        for each in (*layout.outputs(), layout.input):
            each.chmod(0o777)
    if context.rung == "namespaces":
        writable = [layout.base, *layout.inputs(), *layout.outputs(), layout.output / "metrics"]
        own(writable, context.identity)


def write_configs(spec: InstanceSpec, layout: Layout) -> None:
    """The three JSON files, each whole before the job starts."""
    write_whole(layout.hyperparameters, json.dumps(spec.hyperparameters))
    write_whole(layout.input_data_config, json.dumps(_channels(spec)))
    write_whole(layout.resource_config, json.dumps(_resources(spec)))


def _channels(spec: InstanceSpec) -> dict[str, dict[str, str]]:
    described = {}
    for each in spec.channels:
        described[each.name] = {
            "TrainingInputMode": "Pipe" if each.mode == "Pipe" else "File",
            "S3DistributionType": each.distribution,
            "RecordWrapperType": each.record_wrapper,
            **({"ContentType": each.content_type} if each.content_type else {}),
        }
    return described


def _resources(spec: InstanceSpec) -> dict[str, Any]:
    hosts = sorted(spec.hosts)
    groups = spec.groups or (HostGroup("homogeneousCluster", spec.instance_type, tuple(hosts)),)
    own = next(each.name for each in groups if spec.host in each.hosts)
    described = [
        {"instance_group_name": each.name, "instance_type": each.instance_type, "hosts": sorted(each.hosts)}
        for each in groups
    ]
    return {
        "current_host": spec.host,
        "current_instance_type": spec.instance_type,
        "current_group_name": own,
        "current_instance_group": own,
        "hosts": hosts,
        "instance_groups": described,
        "network_interface_name": "lo",  # the one that there is: libraries that are told of another find nothing
    }


def environment(context: Context, confinement: Confinement, service: Mapping[str, str]) -> dict[str, str]:
    """The user's pairs, under what the service sets. What points clients at the server stays the user's to choose."""
    spec, reach = context.spec, context.reach
    found = dict(_NO_INDEX) if confinement.rung == "namespaces" else {}
    found |= reach.pointing if reach is not None else {}
    ours = {"AWS_REGION": spec.region, "AWS_DEFAULT_REGION": spec.region, **service}
    if spec.image.kind != "container":  # whose image has its own
        ours |= _surroundings(context, confinement)
    if reach is not None:
        ours |= reach.credentials
    if confinement.rung == "plain":
        ours[BASE_VARIABLE] = confinement.inside_base
    return {**found, **spec.environment, **ours}


def _surroundings(context: Context, confinement: Confinement) -> dict[str, str]:
    programs = [confinement.inside_programs] if confinement.programs else []
    return {
        "PATH": ":".join([*programs, f"{context.environment}/bin", "/usr/local/bin:/usr/bin:/bin"]),
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **_meaning(context.spec.image),
    }


def _meaning(image: Image) -> dict[str, str]:
    """What our own entry points run; programs of the user's know nothing of it."""
    if image.kind == "folder":
        return {}
    return {ALGORITHM_VARIABLE if image.kind == "builtin" else FRAMEWORK_VARIABLE: image.algorithm}


def confinement(context: Context, group: Group, readonly: Sequence[str] = (), sockets: str = "") -> Confinement:
    spec, folder, reach = context.spec, context.folder, context.reach
    return Confinement(
        rung=context.rung,
        base=str(folder.base),
        root=str(folder.root),
        hostname=spec.host,
        hosts=spec.hosts,
        identity=context.identity,
        readonly=tuple(readonly),
        shown=_shown(context),
        sockets=sockets,
        cgroups=group.paths,
        nice=spec.nice,
        data_limit=0 if group.limits_memory else spec.memory,
        listening=reach.listening if reach is not None else (),
        shares=len(spec.hosts) > 1 and spec.host == spec.hosts[0],
        authorities=reach.authorities if reach is not None else "",
        programs=spec.image.programs,
    )


def _shown(context: Context) -> tuple[str, ...]:
    """The environments, their base Python (lazy imports need both where they were) and the inside tree."""
    if context.spec.image.kind == "container":
        return ()
    prefix = context.spec.image.foundation
    base = _base_python(Path(prefix))
    paths = (prefix, context.environment, base, os.path.realpath(base), context.inside)
    return tuple(dict.fromkeys(paths))


def _base_python(environment: Path) -> str:
    """The installation that a virtual environment was made from, as its pyvenv.cfg says; itself when it is none."""
    try:
        lines = (environment / "pyvenv.cfg").read_text().splitlines()
    except FileNotFoundError:
        return str(environment)
    pairs = dict(line.partition("=")[::2] for line in lines)
    home = next((value.strip() for name, value in pairs.items() if name.strip() == "home"), "")
    return str(Path(home).parent) if home else str(environment)


def make_socket_folder(context: Context) -> Path:
    """The folder of the model server's socket, empty."""
    folder = socket_folder(context.spec.link, context.spec.id)
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / MODEL_SOCKET).unlink(missing_ok=True)
    if context.rung == "namespaces":
        own([folder], context.identity)
    return folder


def make_limits(context: Context) -> Group:
    """The instance's cgroup, noted in its folder. Says in the job's log what is not as it was asked for: another
    version of a framework, and what this machine cannot isolate or bound."""
    spec = context.spec
    if spec.image.note:
        context.say(f"Clary: {spec.image.note}")
    if spec.image.kind == "container":  # its engine makes one, from the words that it is given
        return Group((), limits_memory=True, limits_processes=True)
    group = make_group(str(context.identity), spec.memory)
    write_whole(context.folder.groups, "".join(f"{each}\n" for each in group.paths))
    if context.rung == "plain":
        context.say(
            "Clary: this instance is NOT isolated: it runs as a plain process that can see this machine's files and "
            f"network. Reason: {context.isolation.reason or 'CLARY_ISOLATION=plain'}."
        )
    if spec.memory and not group.limits_memory:
        context.say("Clary: no cgroup can be written here; memory is bounded for each process, not for the whole job.")
    return group
