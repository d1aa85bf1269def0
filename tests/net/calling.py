"""One call over three namespaces: who is started how, and what is asked of the call while it runs."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.net.namespaces import CALLER, NODE, VIEWER, Namespaces
from tests.net.node_process import ROOM
from tests.net.processes import Process, Processes, wait_for
from tests.net.seen import Diary

TOKEN = "not-a-secret-outside-this-machine"
PORT = 8765
GOOD_KBPS = 2000.0
RETURN_S = 40.0
"""Longest wait for real video on a good link: trials that fail double their wait."""


@dataclass
class Call:
    """Hold a running call.

    Attributes:
        net: its namespaces.
        node, caller, viewer: its processes; `viewer` and `recording` are None until `watch`.
        diary: what the node writes down.
    """

    net: Namespaces
    processes: Processes
    node: Process
    caller: Process
    diary: Diary
    folder: Path
    viewer: Process | None = None

    @property
    def recording(self) -> Path:
        """Return the viewer's file."""
        return self.folder / "seen.mp4"

    def watch(self) -> None:
        """Start the viewer and wait until it is in the call."""
        url = f"ws://{self.net.address_of_node(VIEWER)}:{PORT}"
        words = ("call", url, "--room", ROOM, "--token", TOKEN, "--view", str(self.recording))
        self.viewer = self.processes.lipline(VIEWER, *words, name="viewer")
        self.viewer.until_said("In the call")

    def until_output(self, output: str, seconds: float) -> None:
        """Wait until the node shows `output`."""
        wait_for(lambda: self.diary.output() == output, seconds, f"the node shows {output!r}")

    def until_real(self, after_ms: float = 0.0) -> None:
        """Wait until the node has shown a second of real video after `after_ms`."""

        def returned() -> bool:
            return sum(tick.output == "real" for tick in self.diary.ticks(after_ms)) >= 25

        wait_for(returned, RETURN_S, "real video is shown")

    def end(self, *, known: str = "") -> None:
        """End all three in order, so that the recording is finished and the diary complete.

        None may have broken; a process that said `known` is let off its tracebacks.
        """
        time.sleep(0.5)
        for process in (self.viewer, self.caller, self.node):
            if process is not None:
                assert process.running, f"the {process.name} ended early:\n{process.text()}"
                code = process.end()
                assert code in (0, 130), f"the {process.name} ended with {code}:\n{process.text()}"
                broke = "Traceback" in process.text() and not (known and known in process.text())
                assert not broke, f"the {process.name} broke:\n{process.text()}"


def begin(net: Namespaces, processes: Processes, clip: Path, folder: Path) -> Call:
    """Start node and caller over a good link, and wait until the node has the caller's video and shows it."""
    path = folder / "diary.jsonl"
    node = processes.python(NODE, "node_process.py", TOKEN, str(PORT), str(path))
    node.until_said("ready")
    net.uplink(GOOD_KBPS)
    url = f"ws://{net.address_of_node(CALLER)}:{PORT}"
    caller = processes.lipline(
        CALLER, "call", url, "--room", ROOM, "--token", TOKEN, "--clip", str(clip), name="caller"
    )
    caller.until_said("In the call")
    call = Call(net, processes, node, caller, Diary(path), folder)
    call.watch()
    call.until_real()
    return call
