"""`lipline serve` and two `lipline call`, as a person starts them, each on a machine of its own.

.venv/bin/python -m pytest -q -s -m net tests/net/test_served_call.py
"""

import time
from pathlib import Path

import pytest

from tests.net.namespaces import CALLER, NODE, VIEWER, Namespaces, why_not
from tests.net.processes import Process, Processes
from tests.net.seen import read_recording

pytestmark = pytest.mark.net

CALL_S = 12.0
OPTIONS = ("--room", "net", "--token", "not-a-secret-outside-this-machine")


def test_a_served_call_is_recorded_on_another_machine(long_clip: Path, tmp_path: Path) -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    recording = tmp_path / "seen.mp4"
    with Namespaces() as net, Processes(net) as processes:

        def join(place: str, *words: str) -> Process:
            url = f"ws://{net.address_of_node(place)}:8765"
            process = processes.lipline(place, "call", url, *OPTIONS, *words)
            process.until_said("In the call")
            return process

        server = processes.lipline(NODE, "serve", "--host", "0.0.0.0", "--port", "8765", *OPTIONS, name="server")
        server.until_said("join with")
        viewer = join(VIEWER, "--view", str(recording))
        caller = join(CALLER, "--clip", str(long_clip))
        time.sleep(CALL_S)
        for process in (caller, viewer, server):
            assert process.running, f"the {process.name} ended early:\n{process.text()}"
            assert process.end() in (0, 130), process.text()
            assert "Traceback" not in process.text(), process.text()
    seen = read_recording(recording)
    print(f"\n  {seen.seconds:.1f} s recorded, still for at most {seen.longest_still_ms():.0f} ms")
    assert seen.seconds > CALL_S / 2
    assert (seen.steps > 0.15).sum() > 20, "the picture hardly moves"
    assert seen.levels_db.max() > -40.0, "nothing is heard"
