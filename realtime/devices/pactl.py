"""Control PulseAudio or PipeWire through `pactl`, and read what it prints as JSON."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from realtime.devices.api import DeviceError, Fault
from realtime.devices.set_up import install

Run = Callable[[Sequence[str]], str]
"""Run pactl with arguments and return what it printed; raises DeviceError."""

NO_INDEX = 0xFFFF_FFFF

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class SoundNode:
    """A sink or a source of the sound server.

    Attributes:
        name: name by which programs ask for it.
        description: name that people see.
        module: number of the module that made it; -1 when none did.
        owner: our mark (`lipline.owner`); "" where another program made it.
        monitor: whether it is the monitor of a sink, which gives what the sink plays.
        index: the server's number for it, by which streams name it; -1 without one.
    """

    name: str
    description: str
    module: int = -1
    owner: str = ""
    monitor: bool = False
    index: int = -1


def parse_nodes(text: str) -> list[SoundNode]:
    """Read `pactl -f json list sinks` or `list sources`.

    Raises:
        DeviceError: the text is not such a list.
    """
    return _read(text, _node)


def _read(text: str, of: Callable[[dict[str, Any]], Entry]) -> list[Entry]:
    """Return what `of` makes of each entry of a list that pactl printed."""
    try:
        return [of(entry) for entry in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeviceError(Fault.FAILED, f"pactl gave no JSON ({error}): it must be release 16 or newer") from error


def _node(entry: dict[str, Any]) -> SoundNode:
    properties = entry.get("properties") or {}
    module = int(entry.get("owner_module", NO_INDEX))
    return SoundNode(
        name=str(entry["name"]),
        description=str(entry.get("description") or properties.get("device.description") or entry["name"]),
        module=-1 if module == NO_INDEX else module,
        owner=str(properties.get("lipline.owner", "")),
        monitor=str(properties.get("device.class", "")) == "monitor" or str(entry["name"]).endswith(".monitor"),
        index=int(entry.get("index", -1)),
    )


def run_pactl(arguments: Sequence[str]) -> str:
    """Run `pactl ARGUMENTS` and return what it printed.

    Raises:
        DeviceError: pactl is not installed, no server answers, or it refused.
    """
    if shutil.which("pactl") is None:
        raise DeviceError(Fault.NOT_SET_UP, f"pactl is not installed: {install('pulseaudio-utils')}")
    try:
        done = subprocess.run(
            ["pactl", *arguments], capture_output=True, text=True, timeout=10.0, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(Fault.NOT_SET_UP, f"the sound server does not answer ({error}): restart it") from error
    if done.returncode == 0:
        return done.stdout
    said = " ".join(done.stderr.split())
    if "Connection" in said or "connect" in said:
        raise DeviceError(Fault.NOT_SET_UP, f"no sound server answers ({said}): systemctl --user start pipewire-pulse")
    raise DeviceError(Fault.FAILED, f"pactl {' '.join(arguments)} failed: {said}")


def sinks(run: Run = run_pactl) -> list[SoundNode]:
    """Return the sinks of the sound server."""
    return parse_nodes(run(["-f", "json", "list", "sinks"]))


def sources(run: Run = run_pactl) -> list[SoundNode]:
    """Return the sources of the sound server."""
    return parse_nodes(run(["-f", "json", "list", "sources"]))


def connected_to(stream: str, pid: int, *, recording: bool, run: Run = run_pactl) -> int:
    """Return the index of the source that a stream of this name and process records, or of the sink that it plays to.

    -1 while it is connected to nothing. The server does not reuse indexes for other devices.

    Raises:
        DeviceError: no server answers.
    """
    streams, end = ("source-outputs", "source") if recording else ("sink-inputs", "sink")

    def place(entry: dict[str, Any]) -> int | None:
        properties = entry.get("properties") or {}
        whose = properties.get("media.name"), str(properties.get("application.process.id"))
        return int(entry[end]) if whose == (stream, str(pid)) else None

    ours = [index for index in _read(run(["-f", "json", "list", streams]), place) if index is not None]
    return ours[0] if ours and ours[0] != NO_INDEX else -1


def find_node(nodes: Sequence[SoundNode], wanted: str, what: str) -> SoundNode:
    """Return the sink or source that is meant by a name, a description or part of one; never one of ours.

    Raises:
        DeviceError: there is none.
    """
    others = [node for node in nodes if not node.owner]
    exact = [node for node in others if wanted in (node.name, node.description)]
    partly = [
        node
        for node in others
        if not node.monitor and (wanted.lower() in node.name.lower() or wanted.lower() in node.description.lower())
    ]
    if exact or partly:
        return (exact or partly)[0]
    there = ", ".join(node.description for node in others if not node.monitor) or "none"
    raise DeviceError(Fault.MISSING, f"there is no {what} {wanted!r}: plug it in, or choose of: {there}")
