"""`lipline prepare` from end to end, on the bundled caller."""

import argparse
import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from client.main import build_parser
from models.errors import ModelError
from models.expert.onnx import REACH
from realtime.media import VideoFrame
from realtime.media_file import read_audio, read_video, write_media
from realtime.statusline import StatusLine
from train.data.shards import Sample, decode_sample, read_samples, shard_paths
from train.prepare import command
from train.prepare import job as jobs
from train.prepare.cache import Cache, file_sha256
from train.prepare.choice import NOT_HEARD
from train.prepare.faces import FaceFinder
from train.prepare.offset import Vectors
from train.prepare.reference import ReferenceError, describe, likeness, read_reference
from train.prepare.report import PreparationReport
from train.prepare.run import Bar
from train.prepare.settings import Settings

SETTINGS = Settings()


def arguments(*words: str) -> argparse.Namespace:
    parser = build_parser("prepare")
    return parser.parse_args(["prepare", *words])


@pytest.fixture(scope="module")
def film(caller_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 36 frames of the bundled caller with their sound."""
    folder = tmp_path_factory.mktemp("caller") / "anna"
    folder.mkdir()
    frames = [frame.image for frame in islice(read_video(caller_clip, 25.0), 36)]
    write_media(folder / "hello.mp4", frames, 25.0, read_audio(caller_clip, 16_000)[: 36 * 640], 16_000)
    return folder / "hello.mp4"


def test_a_folder_becomes_shards_once_and_a_table_says_what_did_not(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "anna").mkdir(parents=True)
    for name in ("hello.mp4", "again.mp4"):
        (corpus / "anna" / name).write_bytes(film.read_bytes())
    (corpus / "anna" / "broken.mp4").write_bytes(b"no film at all")
    write_media(corpus / "anna" / "mute.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, 25.0)
    words = [str(corpus), "--out", str(tmp_path / "out"), "--expert", "none", "--workers", "1"]
    assert command.run(arguments(*words)) == 0
    table = capsys.readouterr().out
    (sample,) = (one for path in shard_paths([tmp_path / "out"]) for one in read_samples(path))
    assert sample.crops.shape == (36, 128, 128, 3) and len(sample.speech) == 36 * 640
    assert sample.info.speaker == "anna" and sample.info.offset_ms is None
    eyes = sample.landmarks[:, [33, 263]].mean((0, 1))
    assert eyes == pytest.approx([64.0, 0.24 * 128], abs=2.0)
    assert (sample.landmarks[:, 152, 1] < 127).all()
    said = json.loads((tmp_path / "out" / "REPORT.json").read_text())
    assert said["videos"] == 4 and said["clips"] == 1 and said["speakers"] == {"anna": pytest.approx(0.024)}
    assert {name for one in said["left_out"].values() for name in one["names"]} >= {"broken.mp4", "mute.mp4"}
    assert str(tmp_path) not in json.dumps(said) and "broken.mp4" in table and "same content" in table

    def not_again(*_: object) -> None:
        raise AssertionError("tracked twice")

    # Another process would not see the change; what is in the cache is read by the same function here.
    monkeypatch.setattr(jobs, "track", not_again)
    sha256 = file_sha256(film)
    done = jobs.work(jobs.Job(film, sha256, tmp_path / "out" / "cache", SETTINGS, None))
    assert not done.fresh and done.seconds == pytest.approx(36 / 25)


class Shifted:
    """An expert for whom the picture comes some frames after its sound."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def embed(self, sample: Sample) -> tuple[Vectors, Vectors]:
        count = len(sample.crops)
        assert len(sample.speech) == count * 640
        both = np.eye(count + 2 * REACH, dtype=np.float32)
        return both[REACH - self._offset :][:count], both[REACH:][:count]


def test_the_expert_listens_to_what_was_tracked(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "open_listener", lambda file: Shifted(5))
    sha256 = file_sha256(film)
    job = jobs.Job(film, sha256, tmp_path, SETTINGS, (Path("some.onnx"), "fingerprint"))
    assert jobs.work(job).fresh
    curves = Cache(tmp_path, SETTINGS).curves(sha256, "fingerprint")
    assert curves is not None and [one.offset for one in curves.values()] == [5]
    assert not jobs.work(job).fresh
    for path in tmp_path.rglob("*.tar"):
        path.write_bytes(b"damaged")
    assert jobs.work(job).fresh


def test_a_damaged_file_is_used_as_far_as_it_decodes_and_remarked_on(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(path: Path, fps: float, *, on_damage: Callable[[int], None]) -> Iterator[VideoFrame]:
        yield from islice(read_video(path, fps), 30)
        on_damage(30)

    monkeypatch.setattr(jobs, "read_video", damaged)
    jobs.work(jobs.Job(film, "0" * 64, tmp_path, SETTINGS, None))
    outcome = Cache(tmp_path, SETTINGS).outcome("0" * 64)
    assert outcome.lost[jobs.DAMAGED] == 0 and [one.frames for one in outcome.candidates] == [30]


def test_two_people_in_one_picture_are_told_apart(film: Path, tmp_path: Path) -> None:
    images = [frame.image for frame in islice(read_video(film, 25.0), 6)]
    small = [cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA) for image in images]
    height = images[0].shape[0]
    both = [
        np.hstack([large, cv2.copyMakeBorder(other, 0, height - other.shape[0], 0, 0, cv2.BORDER_CONSTANT)])
        for large, other in zip(images, small, strict=True)
    ]
    with FaceFinder() as finder:
        finder.begin()
        found = [finder.find(np.asarray(image, dtype=np.uint8)) for image in both]
        assert [len(faces) for faces in found[1:]] == [2] * 5
        finder.begin()
        assert [len(finder.find(image)) for image in images[:2]] == [1, 1]


def test_a_reference_is_like_its_own_person_and_refused_without_one(film: Path, tmp_path: Path) -> None:
    image = next(iter(read_video(film, 25.0))).image
    cv2.imwrite(str(tmp_path / "anna.png"), image)
    reference = read_reference(tmp_path / "anna.png")
    store = Cache(tmp_path / "cache", SETTINGS)
    sha256 = file_sha256(film)
    jobs.work(jobs.Job(film, sha256, tmp_path / "cache", SETTINGS, None))
    (seen,) = store.descriptors(sha256).values()
    crops = decode_sample(*next(store.clips(sha256))).crops
    assert likeness(reference, seen) > 0.8
    assert likeness(reference, describe(crops[:, ::-1])) < 0.6
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((100, 100, 3), np.uint8))
    for name, reason in (("empty.png", "no face"), ("missing.png", "not a picture")):
        with pytest.raises(ReferenceError, match=reason):
            read_reference(tmp_path / name)


def test_bad_options_name_the_remedy(film: Path, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)]
    for words, reason in (
        (["--size", "20"], "64 to 256"),
        (["--workers", "0"], "at least 1"),
        (["--expert", "missing.onnx"], "--expert none"),
        (["--longest", "20"], "0.2 to 10"),
    ):
        with pytest.raises((ValueError, ModelError), match=reason):
            command.run(arguments(str(film), *out, "--expert", "none", *words))


def test_progress_and_report_count_what_was_done() -> None:
    log = io.StringIO()
    bar = Bar(4, StatusLine(log), _begun=0.0)
    bar.show(jobs.Done(3.0, fresh=False))
    bar.show(jobs.Done(5.0, fresh=True))
    assert bar.line(10.0) == "prepare: 2/4 videos, 0.1 a second (0.5 x real time), 0:00:20 left"
    bar.show(None)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3 and lines[0] == "prepare: 1/4 videos"
    report = PreparationReport({"size": 128}, videos=9)
    for number in range(7):
        report.left_out(f"{number}.mp4", {"no face": 25})
    table = report.table()
    assert "0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 2 more" in table and "not measured" in table
    assert "may not know such faces" not in table
    report.left_out("x.mp4", {NOT_HEARD: 25})
    assert "may not know such faces" in report.table()
    assert report.to_json()["left_out"]["no face"]["minutes"] == pytest.approx(7 / 60, abs=1e-3)
