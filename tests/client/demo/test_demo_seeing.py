import numpy as np
import pytest

from client.demo.evidence import match_kinds
from client.demo.measure import Span
from client.demo.page import number
from client.demo.plot import Panel, stack
from client.errors import UsageError
from client.rig.caller import payload_types
from client.rig.clip import load, prepare
from client.rig.node import recorded
from client.rig.seen import Seen, lay_out
from realtime.media import FrameKind
from realtime.media_file import write_media
from realtime.picture.engine import Output
from realtime.picture.monitor import VideoState
from realtime.rtc.node.path import TimelineEntry


def block(value: int) -> np.ndarray:
    return np.full(960, value, np.int16)


def test_sound_is_laid_out_by_timestamp_where_the_quickest_packet_puts_it() -> None:
    sounds = [(1100.0, 5000, block(1)), (1121.0, 5960, block(2)), (1180.0, 7880, block(4))]
    laid = lay_out(sounds, 1000.0, 1200.0)
    assert len(laid) == 9600
    assert laid[: 100 * 48].max() == 0
    assert (laid[100 * 48 : 120 * 48] == 1).all()
    assert (laid[120 * 48 : 140 * 48] == 2).all()
    assert (laid[140 * 48 : 160 * 48] == 0).all()
    assert (laid[160 * 48 : 180 * 48] == 4).all()


def test_sound_survives_a_wrap_and_the_ends_of_the_call() -> None:
    sounds = [(990.0, (1 << 32) - 960, block(1)), (1010.0, 0, block(2)), (1030.0, 960, block(3))]
    laid = lay_out(sounds, 1000.0, 1040.0)
    assert (laid[: 10 * 48] == 1).all()
    assert (laid[10 * 48 : 30 * 48] == 2).all()
    assert (laid[30 * 48 :] == 3).all()
    assert lay_out([], 0.0, 100.0).shape == (4800,)


def test_seen_survives_its_file(tmp_path) -> None:
    seen = Seen(np.array([1.0, 2.0]), np.array([5.0, 6.0]), np.zeros((2, 6, 4), np.uint8), block(3))
    seen.save(tmp_path / "seen.npz")
    again = Seen.load(tmp_path / "seen.npz")
    assert again.luma.shape == (2, 4, 4)
    assert again.media_ms.tolist() == [5.0, 6.0]
    assert (again.samples == 3).all()


def test_kinds_follow_the_media_clock_and_not_the_arrival() -> None:
    outputs = [(index * 40.0, index * 40.0, "real" if index < 50 else "synth") for index in range(100)]
    rows = [index for index in range(100) if index != 49]
    arrivals = np.array([outputs[index][0] + 15.0 + (30.0 if index == 51 else 0.0) for index in rows])
    media = np.array([outputs[index][1] + 123456.0 for index in rows])
    kinds = match_kinds(arrivals, media, outputs)
    assert kinds[:49].tolist() == ["real"] * 49
    assert kinds[49:].tolist() == ["synth"] * 50


def test_node_records_states_from_the_start_signal() -> None:
    entries = [
        TimelineEntry(1000.0 + index * 40.0, state, Output.REAL, FrameKind.REAL, 0.0)
        for index, state in enumerate([VideoState.REAL, VideoState.SUSPECT, VideoState.SYNTH, VideoState.SYNTH])
    ]
    record = recorded(entries, {"framesReal": 4}, 1000.0)
    assert record["states"] == [(0.0, "real"), (40.0, "suspect"), (80.0, "synth")]
    assert [row[0] for row in record["outputs"]] == [0.0, 40.0, 80.0, 120.0]


def test_payload_types_are_told_from_sdp() -> None:
    sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\nm=video 9 UDP/TLS/RTP/SAVPF 97 98\r\nm=application 9 x webrtc\r\n"
    assert payload_types(sdp) == {"rtp-96": "audio", "rtp-97": "video", "rtp-98": "video"}


def test_a_short_clip_is_played_again_and_its_cuts_are_known(tmp_path, caller_clip) -> None:
    clip = prepare([caller_clip], 2.0, tmp_path / "short.mp4")
    assert clip.images.shape[0] == 50
    assert clip.cuts == () and clip.warnings == ()
    images, samples = load(clip.path)
    assert images.shape == clip.images.shape
    assert samples.tolist() == clip.samples.tolist()
    write_media(tmp_path / "one.mp4", clip.images[:25], 25, np.sin(np.arange(48_000) / 30).astype(np.float32) * 0.3)
    looped = prepare([tmp_path / "one.mp4", tmp_path / "one.mp4"], 3.0, tmp_path / "looped.mp4")
    assert len(looped.images) == 75
    assert looped.cuts == (25, 50)
    assert "played again" in looped.warnings[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("silent", "silent"), ("mute", "no sound"), ("faceless", "a face was found in only 0 of")],
)
def test_a_clip_that_cannot_serve_is_refused_with_the_reason(tmp_path, name: str, wanted: str) -> None:
    blank = np.full((30, 96, 96, 3), 128, np.uint8)
    tone = np.sin(np.arange(57_600) / 30).astype(np.float32) * 0.3
    sound = {"silent": tone * 0, "mute": None, "faceless": tone}[name]
    write_media(tmp_path / "bad.mp4", blank, 25, sound)
    with pytest.raises(UsageError, match=wanted):
        prepare([tmp_path / "bad.mp4"], 1.0, tmp_path / "out.mp4")


def test_plots_hold_what_they_are_given_and_escape_it() -> None:
    panel = Panel("<rate>", "kbit/s", 10.0, 100.0)
    panel.line([0.0, 5000.0, 10_000.0], [0.0, float("nan"), 50.0], "line a")
    panel.line([0.0, 10_000.0], [0.0, 200.0], "line b")
    panel.shade([Span("synth", 1000.0, 2000.0)])
    drawn = stack("A & B", [("states", [Span("real", 0.0, 10_000.0)]), panel], 10.0)
    assert drawn.count("<polyline") == 1
    assert 'points="64.0,150.0 988.0,0.0"' in drawn
    assert "&lt;rate&gt;" in drawn and "A &amp; B" in drawn
    assert "REAL" in drawn


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "", "0"),
        (25.0, "1/s", "25.00 1/s"),
        (0.01234, "eyes", "0.0123 eyes"),
        (1234.5, "ms", "1234 ms"),
        (float("nan"), "s", "not measured"),
    ],
)
def test_numbers_are_as_precise_as_they_deserve(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text
