from pathlib import Path

import numpy as np
import pytest
from face_fakes import LoudnessMouth, draw, face_at

from realtime.dub import dub
from realtime.face.badge import Badge
from realtime.face.tracker import ScriptedTracker
from realtime.media_file import MediaError, probe, read_audio, read_video, write_media


class Counting(ScriptedTracker):
    """A scripted tracker that sees the face it drew: landmarks by call, video read once to learn and once to speak."""

    def __init__(self, count: int) -> None:
        track = [face_at(160 + 0.5 * np.sin(i / 5), 90) for i in range(count)]
        super().__init__(track + track)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dub")
    still = np.zeros(48_000, np.float32)
    write_media(folder / "video.mp4", (draw(face_at(160 + 0.5 * np.sin(i / 5), 90)) for i in range(25)), 25.0, still)
    t = np.arange(int(48_000 * 2.4)) / 48_000
    voice = (0.1 * np.random.default_rng(0).standard_normal(t.size) * (np.sin(2 * np.pi * t) > 0)).astype(np.float32)
    write_media(folder / "speech.mp4", [np.zeros((16, 16, 3), np.uint8)] * 60, 25.0, voice)
    write_media(folder / "silent.mp4", [np.zeros((16, 16, 3), np.uint8)] * 10, 25.0)
    return folder


def test_the_output_is_as_long_as_the_speech_and_speaks_in_step(files: Path, tmp_path: Path) -> None:
    generator, steps = LoudnessMouth(), []
    out = tmp_path / "out.mp4"
    count = dub(files / "video.mp4", files / "speech.mp4", out, generator, lambda *at: steps.append(at), Counting(25))
    seconds = len(read_audio(files / "speech.mp4", 48_000)) / 48_000
    assert count == len(steps) == int(np.ceil(seconds * 25 - 1e-6))
    assert steps == sorted(steps) and steps[-1][1] == pytest.approx(2400, abs=60)
    frames = [frame.image for frame in read_video(out)]
    assert len(frames) == count
    x0, y0, x1, y1 = Badge().box(frames[0].shape)
    assert all(frame[y0:y1, x0:x1].max() > 220 for frame in frames)
    assert len(read_audio(out, 48_000)) / 48_000 == pytest.approx(seconds, abs=0.05)
    # Voiced in the first half of each second: there the mouth was asked to speak, else to be silent.
    loud = np.array([level for level, _ in generator.seen[-count:]])
    at = (np.arange(count) / 25.0) % 1.0
    assert loud[(at > 0.1) & (at < 0.4)].min() > loud[(at > 0.65) & (at < 0.9)].max() + 0.5


def test_the_picture_runs_on_past_the_end_of_the_video_without_a_cut(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    dub(files / "video.mp4", files / "speech.mp4", out, LoudnessMouth(), None, Counting(25))
    frames = [frame.image[:100].astype(int) for frame in read_video(out)]
    steps = [np.abs(b - a).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert max(steps[24:]) <= 1.5 * max(steps[:24])


def test_unusable_inputs_are_named_and_leave_no_file(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with pytest.raises(MediaError, match=r"silent\.mp4 has no audio track"):
        dub(files / "video.mp4", files / "silent.mp4", out, LoudnessMouth())
    tracker = ScriptedTracker([None])
    with pytest.raises(MediaError, match="no face was found"):
        dub(files / "video.mp4", files / "speech.mp4", out, LoudnessMouth(), None, tracker)
    assert tracker.closed and not list(tmp_path.iterdir())


def test_a_shorter_speech_ends_the_video_early(files: Path, tmp_path: Path) -> None:
    write_media(tmp_path / "short.mp4", [np.zeros((16, 16, 3), np.uint8)] * 10, 25.0, np.zeros(14_400, np.float32))
    count = dub(files / "video.mp4", tmp_path / "short.mp4", tmp_path / "o.mp4", LoudnessMouth(), None, Counting(25))
    assert count == pytest.approx(8, abs=2) and probe(tmp_path / "o.mp4").has_video
