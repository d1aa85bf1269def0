"""What is kept of tracked videos, and the shards that are packed from it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import face_at

from models.expert.onnx import REACH
from train.data.shards import LIMIT_BYTES, Sample, SampleInfo, ShardError, read_samples, shard_paths
from train.prepare.cache import Cache, CandidateClip, Tracked, TrackedPart, file_sha256
from train.prepare.corpus import Video
from train.prepare.offset import Curve
from train.prepare.packer import pack
from train.prepare.report import PreparationReport
from train.prepare.settings import Choice, Settings

SETTINGS = Settings(size=64)
EXPERT = "0123456789ab"
RAMP = np.arange(200 * 640, dtype=np.int64).astype(np.int16)


def tracked(key: str, first: int, frames: int = 30) -> Tracked:
    rng = np.random.default_rng(first)
    crops = np.repeat(rng.integers(0, 255, (frames, 8, 8, 3), dtype=np.uint8).repeat(8, 1), 8, 2)
    info = SampleInfo("", "", "f" * 64, first / 25, frames, 64, None, None, 50.0, 3.0)
    sound = RAMP[first * 640 : (first + frames) * 640]
    sample = Sample(key, info, crops, np.stack([face_at(32, 15, 29)] * frames), sound)
    return Tracked(CandidateClip(key, first, frames, 60.0, 0), sample, np.full(4, 0.5, np.float16))


def filled(folder: Path, names: str = "a") -> Cache:
    store = Cache(folder, SETTINGS)
    for name in names:
        clips = [tracked("c00000", 0), tracked("c00001", 50)]
        parts = [TrackedPart(clips[:1], {"blurred": 12}), TrackedPart(clips[1:], {"blurred": 8, "a remark": 0})]
        store.write(name * 64, parts, RAMP)
    return store


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    store = filled(tmp_path)
    outcome = store.outcome("a" * 64)
    assert (outcome.frames, outcome.sound, outcome.lost) == (80, 200, {"blurred": 20, "a remark": 0})
    assert [one.first for one in outcome.candidates] == [0, 50]
    assert [key for key, _ in store.clips("a" * 64)] == ["c00000", "c00001"]
    assert store.descriptors("a" * 64)["c00001"].tolist() == [0.5] * 4
    assert np.array_equal(store.speech("a" * 64), RAMP)


def test_other_settings_or_content_are_not_there(tmp_path: Path) -> None:
    filled(tmp_path)
    assert Cache(tmp_path, SETTINGS).holds("a" * 64)
    assert not Cache(tmp_path, SETTINGS).holds("b" * 64)
    assert not Cache(tmp_path, replace(SETTINGS, largest_yaw=20.0)).holds("a" * 64)


def test_a_stopped_video_leaves_nothing_half_made(tmp_path: Path) -> None:
    def dies() -> Iterator[TrackedPart]:
        yield TrackedPart([tracked("c00000", 0)], {})
        raise KeyboardInterrupt

    store = Cache(tmp_path, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        store.write("a" * 64, dies(), RAMP)
    assert not store.holds("a" * 64)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_damaged_file_says_so_and_a_second_run_is_kept_away(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (tar,) = tmp_path.rglob("*.tar")
    tar.write_bytes(tar.read_bytes()[:5000])
    with pytest.raises(ShardError, match=r"damaged|cannot be read"):
        store.outcome("a" * 64)
    with store.locked(), pytest.raises(ShardError, match="another run"), Cache(tmp_path, SETTINGS).locked():
        pass


def packed(
    store: Cache, out: Path, names: str, expert: str | None = None, limit_bytes: int = LIMIT_BYTES
) -> tuple[PreparationReport, list[Sample]]:
    report = PreparationReport({})
    videos = [(Video(Path(f"/films/{name}.mkv"), f"s{name}"), name * 64) for name in names]
    pack(videos, store, out, Choice(), report, expert=expert, limit_bytes=limit_bytes)
    return report, [sample for path in shard_paths([out]) for sample in read_samples(path)]


def test_shards_are_the_same_whatever_the_order_of_work(tmp_path: Path) -> None:
    forth, back = filled(tmp_path / "forth", "abc"), filled(tmp_path / "back", "cba")
    report, samples = packed(forth, tmp_path / "one", "abc")
    packed(back, tmp_path / "two", "cab")
    one, two = (shard_paths([tmp_path / name]) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert [(s.info.speaker, s.info.source, s.info.start_s) for s in samples[:3]] == [
        ("sa", "a", 0.0), ("sa", "a", 2.0), ("sb", "b", 0.0),
    ]  # fmt: skip
    assert len({sample.key for sample in samples}) == report.clips == 6
    assert samples[0].info.offset_ms is None


def test_fewer_clips_leave_no_old_shard_behind(tmp_path: Path) -> None:
    store = filled(tmp_path / "cache", "abc")
    packed(store, tmp_path / "out", "abc", limit_bytes=1)
    assert len(shard_paths([tmp_path / "out"])) == 6
    packed(store, tmp_path / "out", "a")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clips-000000.tar"]


@pytest.mark.parametrize(("offset", "first", "frames"), [(4, 4, 26), (-3, 0, 30)])
def test_sound_is_taken_from_where_the_lips_say_it_is(tmp_path: Path, offset: int, first: int, frames: int) -> None:
    sums = np.full(2 * REACH + 1, 130.0)
    sums[REACH + offset] = 20.0
    heard = Curve(sums, np.full(2 * REACH + 1, 100))
    store = filled(tmp_path / "cache")
    store.write_curves("a" * 64, EXPERT, {"c00000": heard, "c00001": heard})
    _, (sample, second) = packed(store, tmp_path / "out", "a", expert=EXPERT)
    assert (sample.info.frames, sample.info.start_s, sample.info.offset_ms) == (frames, first / 25, offset * 40.0)
    assert len(sample.crops) == len(sample.landmarks) == frames
    begin = (first - offset) * 640
    assert np.array_equal(sample.speech, RAMP[begin : begin + frames * 640])
    assert np.array_equal(second.speech, RAMP[(50 - offset) * 640 :][: 30 * 640])


def test_the_key_is_of_the_content_alone(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).write_bytes(b"film")
    assert file_sha256(tmp_path / "one.mp4") == file_sha256(tmp_path / "two.mp4")
    assert SETTINGS.fingerprint() != Settings().fingerprint()
    with pytest.raises(ValueError, match="64 to 256"):
        Settings(size=512)
