"""Files in place of devices: what left is in the film, when it left; a clip's sound keeps to its pictures."""

import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.cam.filesound import FileSound, blocks_of, video_round_ms
from realtime.cam.recorder import Recorder
from realtime.clock import FakeClock
from realtime.media_file import MediaError, probe, read_audio, read_video, write_media

SIZE = (64, 48)


def grey(value: int) -> NDArray[np.uint8]:
    picture = np.full((72, 64), 128, np.uint8)
    picture[:48] = value
    return picture


def test_pictures_stand_where_they_left(tmp_path: Path) -> None:
    clock = FakeClock(1000.0)
    recorder = Recorder(tmp_path / "film.mp4", SIZE, 25.0, clock)
    for at, value in ((0, 40), (47, 60), (78, 80), (85, 90), (120, 100), (400, 200), (440, 220)):
        clock.advance(1000.0 + at - clock.now_ms())
        recorder.send(grey(value))
    recorder.close()
    shades = [float(frame.image.mean()) for frame in read_video(tmp_path / "film.mp4")]
    assert len(shades) == 12 and recorder.dropped == 0
    assert np.diff(shades).min() > -2.0, "in order"
    assert abs(shades[9] - shades[3]) < 2.0 < shades[10] - shades[9], "a gap is a picture that stands"


def test_sound_begins_when_it_left(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = Recorder(tmp_path / "film.mp4", SIZE, 25.0, clock)
    recorder.send(grey(40))
    clock.advance(500.0)
    tone = (8000 * np.sin(2 * np.pi * 500 * np.arange(48_000) / 48_000)).astype(np.int16)
    for block in tone.reshape(-1, 960):
        recorder.put(block)
        clock.advance(20.0)
        recorder.send(grey(40))
    recorder.close()
    heard = np.abs(read_audio(tmp_path / "film.mp4", 48_000))
    begun = int(np.argmax(heard > 0.1)) / 48.0
    assert begun == pytest.approx(500.0, abs=30.0)


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "film.mp4", SIZE, 25.0, FakeClock())
    recorder.put(np.zeros(960, np.int16))
    recorder.close()
    recorder.close()
    assert not list(tmp_path.iterdir())


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "film.mp4", SIZE, 25.0, FakeClock())
    with pytest.raises(ValueError, match="64x48"):
        recorder.send(np.zeros((48, 64), np.uint8))
    recorder.close()


class Running:
    """The seconds that a process has left, which become fewer by a tenth at every look."""

    def __init__(self) -> None:
        self.left_s = 4.55

    def look(self) -> float:
        self.left_s -= 0.1
        return self.left_s


def test_a_film_is_whole_and_shorter_where_there_is_no_time_to_encode_what_waits(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = Recorder(tmp_path / "film.mp4", SIZE, 25.0, clock, Running().look)
    for i in range(100):
        recorder.send(grey(20 + 2 * i))
        clock.advance(40.0)
    recorder.close()
    shades = [float(frame.image.mean()) for frame in read_video(tmp_path / "film.mp4")]
    assert len(shades) == 30 and recorder.dropped == 70, "1.5 s are left for what comes after"
    assert np.diff(shades).min() > 0.0, "the first ones, in order"


def test_a_gap_that_takes_too_long_to_fill_ends_the_film(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = Recorder(tmp_path / "film.mp4", SIZE, 25.0, clock, Running().look)
    recorder.send(grey(40))
    clock.advance(60_000.0)
    recorder.send(grey(200))
    recorder.close()
    shades = [float(frame.image.mean()) for frame in read_video(tmp_path / "film.mp4")]
    assert len(shades) < 30 and np.ptp(shades) < 2.0 and recorder.dropped == 1


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    ramp = np.linspace(0.0, 0.5, 48_000, dtype=np.float32)
    write_media(tmp_path / "clip.mp4", [np.full((48, 64, 3), 9, np.uint8)] * 20, 25, ramp)
    return tmp_path / "clip.mp4"


def test_a_round_of_sound_is_as_long_as_one_of_pictures(clip: Path) -> None:
    assert video_round_ms(clip) == 800.0
    sound = np.concatenate(list(islice(blocks_of(clip, 800.0), 120))).astype(float) / 32768.0
    first, second = sound[:38_400], sound[38_400:76_800]
    assert np.abs(first[2000:-2000] - second[2000:-2000]).max() < 0.02
    longer = np.concatenate(list(islice(blocks_of(clip, 1500.0), 75)))
    assert not longer[55_000:].any(), "what the clip does not have is silence"


def test_a_file_plays_in_its_own_time_and_stops_when_told(clip: Path) -> None:
    source, heard = FileSound(clip), list[tuple[tuple[int, ...], float]]()

    def take(block: NDArray[np.int16], captured_ms: float) -> None:
        heard.append((block.shape, captured_ms))

    source.start(take)
    while len(heard) < 5:
        time.sleep(0.01)
    source.close()
    count = len(heard)
    assert all(shape == (960,) for shape, _ in heard)
    assert np.diff([at for _, at in heard]) == pytest.approx(20.0)
    source.close()
    assert len(heard) == count


def test_a_file_without_sound_is_refused(tmp_path: Path) -> None:
    write_media(tmp_path / "mute.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3, 25)
    assert probe(tmp_path / "mute.mp4").has_video
    with pytest.raises(MediaError, match="no audio track"):
        FileSound(tmp_path / "mute.mp4")
