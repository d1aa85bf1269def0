import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.media_file import MediaError, MediaWriter, probe, read_audio, read_audio_blocks, read_video, write_media

RATE = 48_000


def picture(i: int) -> NDArray[np.uint8]:
    image = np.zeros((64, 96, 3), np.uint8)
    image[..., 0], image[..., 2] = 40, 60
    image[:, : 8 + 8 * (i % 10)] = (200, 180, 160)
    return image


def tone(seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    times = np.arange(int(seconds * rate)) / rate
    return np.asarray(0.3 * np.sin(2 * np.pi * 440 * times), np.float32)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    write_media(path, (picture(i) for i in range(50)), 25.0, tone(2.0), synthetic=True)
    return path


def test_a_written_file_reads_back(clip: Path) -> None:
    info = probe(clip)
    assert (info.has_video, info.has_audio, info.width, info.height) == (True, True, 96, 64)
    assert info.fps == pytest.approx(25.0) and info.duration_ms == pytest.approx(2000.0, abs=50.0)
    frames = list(read_video(clip))
    assert len(frames) == 50
    assert [frame.media_ms for frame in frames] == pytest.approx([40.0 * i for i in range(50)])
    assert all(np.abs(frame.image.astype(int) - picture(i)).mean() < 6 for i, frame in enumerate(frames))


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_sound_keeps_its_length_pitch_and_level(clip: Path, rate: int) -> None:
    samples = read_audio(clip, rate)
    assert samples.dtype == np.float32 and len(samples) / rate == pytest.approx(2.0, abs=0.05)
    spectrum = np.abs(np.fft.rfft(samples[rate // 4 : -rate // 4]))
    peak = spectrum.argmax() * rate / (len(samples) - 2 * (rate // 4))
    assert peak == pytest.approx(440.0, abs=2.0)
    assert np.percentile(np.abs(samples), 99) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("fps", "count"), [(12.5, 25), (50.0, 100)])
def test_another_rate_repeats_or_leaves_out_frames(clip: Path, fps: float, count: int) -> None:
    frames = list(read_video(clip, fps))
    assert abs(len(frames) - count) <= 1
    for frame in frames[:-1]:
        shown = picture(int(frame.media_ms // 40.0))
        assert np.abs(frame.image.astype(int) - shown).mean() < 6


def test_a_file_without_video_or_sound_is_named(tmp_path: Path, clip: Path) -> None:
    silent = tmp_path / "silent.mp4"
    write_media(silent, [picture(0)] * 10, 25.0)
    assert not probe(silent).has_audio
    with pytest.raises(MediaError, match="no audio track: give"):
        read_audio(silent, 16_000)
    import wave

    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes((tone(0.5, 16_000) * 32767).astype(np.int16).tobytes())
    with pytest.raises(MediaError, match="no video: give"):
        next(read_video(sound, 25.0))
    assert len(read_audio(sound, 16_000)) == 8000


def test_what_is_no_media_file_is_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(np.random.default_rng(0).bytes(4000))
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    for path in (garbage, empty):
        with pytest.raises(MediaError, match="not a media file"):
            probe(path)
    with pytest.raises(MediaError, match="there is no file"):
        next(read_audio_blocks(tmp_path / "missing.wav", 16_000))


def test_a_truncated_file_gives_what_decodes(tmp_path: Path, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    with caplog.at_level(logging.WARNING):
        frames = list(read_video(cut))
        samples = read_audio(cut, 16_000)
    assert 5 <= len(frames) <= 50 and 1000 <= len(samples) <= 33_000
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{cut} is damaged or cut off after")
    caplog.clear()
    told: list[int] = []
    assert len(list(read_video(cut, on_damage=told.append))) == len(frames)
    assert len(read_audio(cut, 16_000, on_damage=told.append)) == len(samples)
    assert len(told) == 1 and told[0] > 0 and not caplog.records
    cut.write_bytes(whole[:40])
    with pytest.raises(MediaError):
        list(read_video(cut))


def test_the_synthetic_mark_is_in_the_file(clip: Path) -> None:
    assert b"compositeWithTrainedAlgorithmicMedia" in clip.read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(RuntimeError, match="stop"), MediaWriter(path, 25.0) as writer:
        writer.write_frame(picture(0))
        raise RuntimeError("stop")
    with pytest.raises(ValueError, match="no frame"):
        write_media(path, [], 25.0)
    with pytest.raises(MediaError, match="no folder"):
        MediaWriter(tmp_path / "none" / "out.mp4", 25.0)
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_size_are_refused_and_odd_sizes_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with MediaWriter(path, 25.0, None) as writer:
        writer.write_frame(picture(0)[:63, :95])
        with pytest.raises(ValueError, match="the file 94x62"):
            writer.write_frame(picture(0))
        with pytest.raises(ValueError, match="no sound"):
            writer.write_audio(tone(0.1))
    assert (probe(path).width, probe(path).height) == (94, 62)
