"""A caller changes its network in the middle of a call: another address, every old path dead.

    .venv/bin/python -m pytest -q -s -m net tests/net/test_moved_caller.py

ICE finds out after 30 s (aioice's consent checks, RFC 7675), the signaling connection by its own pings. The caller must
take up its seat again and offer a new peer connection; the node must keep the call, its history and its viewers.
"""

import time
from pathlib import Path

import pytest

from tests.net.calling import begin
from tests.net.load import Load
from tests.net.namespaces import CALLER, Namespaces, why_not
from tests.net.processes import Processes, now_ms, wait_for
from tests.net.seen import read_recording

pytestmark = pytest.mark.net

BACK_S = 120.0


def test_a_moved_caller_comes_back_into_the_same_call(long_clip: Path, tmp_path: Path) -> None:
    reason, load = why_not(), Load()
    if reason is not None:
        pytest.skip(reason)
    with Namespaces() as net, Processes(net) as processes:
        with load.excuses():
            call = begin(net, processes, long_clip, tmp_path)
        before = call.diary.stats()
        moved_ms = now_ms()
        net.move(CALLER, "10.77.1.2", "10.77.1.77")
        call.until_output("synth", 10.0)
        time.sleep(5.0)
        away = call.diary.ticks(moved_ms + 3000.0, now_ms())
        assert away and all(tick.output == "synth" for tick in away)

        def heard() -> bool:
            return call.diary.concealed(now_ms() - 1000.0, now_ms()) < 0.5

        wait_for(heard, BACK_S, f"the caller is heard from its new address\n{call.caller.text()}")
        heard_ms = now_ms()
        print(f"\n  heard again {(heard_ms - moved_ms) / 1000.0:.0f} s after the move; {load}")
        for line in call.caller.lines:
            print(f"    {(line.at_ms - moved_ms) / 1000.0:5.1f} s  the caller said: {line.text}")
        with load.excuses():
            call.until_real(heard_ms)
        after = call.diary.stats()
        # aiortc 1.16 flushes a data channel in a task that nobody awaits; a path that is gone makes it break.
        call.end(known="in _data_channel_flush")
        seen = read_recording(call.recording)
    assert after["totalSamplesReceived"] > before["totalSamplesReceived"], "another call has begun"
    assert after["framesReal"] > before["framesReal"] and after["framesSynth"] > before["framesSynth"]
    assert seen.seconds > 10.0, "the viewer lost its connection too"
