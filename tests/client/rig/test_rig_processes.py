"""What the processes of a call record, and what becomes of one that cannot work."""

from pathlib import Path

import pytest

from client.rig.caller import payload_types
from client.rig.node import NodeRecord, plain_numbers, ticks
from client.rig.order import Order
from client.rig.peer import Peer
from realtime.media import FrameKind
from realtime.picture.engine import Output
from realtime.picture.monitor import VideoState
from realtime.rtc.node.path import TimelineEntry


def test_the_node_records_states_from_the_start_signal_and_keeps_them_in_its_file(tmp_path: Path) -> None:
    entries = [
        TimelineEntry(960.0 + index * 40.0, state, Output.REAL, FrameKind.REAL, 0.0)
        for index, state in enumerate([VideoState.GOOD, VideoState.GOOD, VideoState.LATE, VideoState.GONE])
    ]
    NodeRecord(ticks(entries, 1000.0), [{"atMs": 200.0}], {"framesReal": 4}).save(tmp_path / "node.json")
    record = NodeRecord.load(tmp_path / "node.json")
    assert record.states == [(0.0, "real"), (40.0, "suspect"), (80.0, "synth")]
    assert record.sent == [(-40.0, "real"), (0.0, "real"), (40.0, "real"), (80.0, "real")]
    assert (record.series, record.stats) == ([{"atMs": 200.0}], {"framesReal": 4})
    assert NodeRecord().states == [(0.0, "real")]


def test_only_plain_numbers_of_a_snapshot_are_kept() -> None:
    snapshot: dict[str, object] = {"a": 1, "b": 2.5, "c": [1], "d": "x", "e": True, "f": {"p50": 1}}
    assert plain_numbers(snapshot) == {"a": 1, "b": 2.5}


def test_payload_types_are_found_in_sdp() -> None:
    sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\nm=video 9 UDP/TLS/RTP/SAVPF 97 98\r\nm=application 9 x webrtc\r\n"
    assert payload_types(sdp) == {"rtp-96": "audio", "rtp-97": "video", "rtp-98": "video"}


async def test_a_process_that_cannot_work_says_why(tmp_path: Path) -> None:
    order = Order("viewer", True, str(tmp_path / "out"), "room", "secret", 1.0, url="ws://127.0.0.1:1")
    peer = await Peer.start(order, tmp_path / "viewer.log", lambda event: None)
    try:
        with pytest.raises(RuntimeError, match=r"the viewer ended early \(code 1\)(.|\n)*127.0.0.1"):
            await peer.event("connected", 60.0)
        assert peer.ended
    finally:
        await peer.close()
