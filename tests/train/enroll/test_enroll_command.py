"""`lipline enroll` from end to end on the bundled caller, and what it refuses."""

import argparse
import json
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ears_files import ears_bytes

from client.main import build_parser
from models.catalog import open_generator
from models.lite.export import export_lite
from models.lite.network import Lite
from models.lite.onnx import PERSONAL_KEY
from realtime.media_file import read_audio, read_video, write_media
from tests.train.lite.planted_mouths import TINY, planted_clip
from train.config import read_config
from train.data.clips import Clip
from train.enroll import command, footage
from train.enroll.config import EnrolConfig
from train.enroll.footage import FootageError, refuse_gaps, refuse_little, strangers
from train.enroll.parts import Parts
from train.lite.basis import fit_basis
from train.lite.config import ModelConfig

TOML = Path(command.__file__).parents[1] / "configs" / "enroll.toml"


def arguments(*words: str) -> argparse.Namespace:
    parser = build_parser("enroll")
    return parser.parse_args(["enroll", *words])


@pytest.fixture(scope="module")
def film(caller_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 5 s of the bundled caller with their sound."""
    path = tmp_path_factory.mktemp("film") / "me.mp4"
    frames = [frame.image for frame in islice(read_video(caller_clip, 25.0), 130)]
    write_media(path, frames, 25.0, read_audio(caller_clip, 16_000)[: 130 * 640], 16_000)
    return path


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    lite = Lite(replace(ModelConfig(**TINY).lite, heard=64))
    lite.basis_BV.copy_(torch.from_numpy(fit_basis([planted_clip()], 3)))
    path = tmp_path_factory.mktemp("start") / "start.onnx"
    export_lite(lite, ears_bytes(), path)
    return path


@pytest.fixture
def quick(tmp_path: Path) -> str:
    path = tmp_path / "quick.toml"
    path.write_text(
        "least_s = 3.0\n[parts]\nheld_s = 1.0\nchoose_s = 1.0\nguard_s = 0.0\nshortest_s = 0.9\n"
        "[voice]\nbatch = 2\n[voice.loop]\nsteps = 2\nevaluate_every = 1\n"
        "[picture]\nbatch = 1\n[picture.loop]\nsteps = 1\n"
    )
    return str(path)


def test_a_video_gives_a_personal_generator_and_leaves_nothing_else(
    film: Path,
    start: Path,
    quick: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    out = tmp_path / "me.onnx"
    words = [str(film), "--out", str(out), "--start", str(start), "--config", quick, "--workers", "1", "--force"]
    assert command.run(arguments(*words)) == 0
    told = capsys.readouterr().out
    assert "nothing leaves" in told and "generic" in told and "enrolled" in told and str(tmp_path) not in told
    assert not list((tmp_path / "tmp").glob("lipline-*"))
    before, after = ({entry.key: entry.value for entry in onnx.load(path).metadata_props} for path in (start, out))
    said = json.loads(after[PERSONAL_KEY])
    assert set(after) - set(before) == {PERSONAL_KEY} and set(said) == {"seconds", "correlation", "generic"}
    assert all(isinstance(value, int | float) for value in said.values())
    assert open_generator(out).name == "lite"


def test_what_is_no_better_is_not_written_and_what_was_prepared_is_kept_when_asked(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def prepared(videos: object, folder: Path, *more: object) -> list[Clip]:
        folders.append(folder)
        assert folder.is_dir()
        return [planted_clip(f"c{seed}", seed=seed) for seed in range(6)]

    monkeypatch.setattr(footage, "read_person", prepared)
    config = tmp_path / "never.toml"
    config.write_text(
        "least_s = 3.0\ngain = 3.0\n[parts]\nheld_s = 2.0\nchoose_s = 2.0\n"
        "[voice]\nbatch = 2\n[voice.loop]\nsteps = 1\n[picture]\nbatch = 1\n[picture.loop]\nsteps = 1\n"
    )
    out = tmp_path / "me.onnx"
    words = ["me.mp4", "--out", str(out), "--start", str(start), "--config", str(config)]
    assert command.run(arguments(*words, "--keep-data", str(tmp_path / "kept"))) == 1
    told = capsys.readouterr().out
    assert "no file was written" in told and "had to rise by 3" in told and "--force" in told and not out.exists()
    assert folders == [tmp_path / "kept"] and folders[0].is_dir()


def test_the_shipped_configuration_is_the_default() -> None:
    assert read_config(TOML, EnrolConfig) == EnrolConfig()


def test_stopping_it_leaves_nothing(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def stopped(videos: object, folder: Path, *more: object) -> list[object]:
        (folder / "shards").mkdir()
        (folder / "shards" / "private.tar").write_bytes(b"face")
        raise KeyboardInterrupt

    monkeypatch.setattr(footage, "read_person", stopped)
    with pytest.raises(KeyboardInterrupt):
        command.run(arguments("me.mp4", "--out", str(tmp_path / "me.onnx"), "--start", str(start)))
    assert list((tmp_path / "tmp").iterdir()) == [] and not (tmp_path / "me.onnx").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--time-budget", "0"], "more than 0"),
        (["--threads", "0"], "at least 1"),
        (["--workers", "0"], "at least 1"),
        (["--out", "me.pt"], r"me\.onnx"),
        (["--out", "nowhere/me.onnx"], "make it first"),
        (["--start", "missing.onnx"], "missing.onnx"),
        (["--config", "missing.toml"], "missing.toml"),
    ],
)
def test_bad_options_name_the_remedy(words: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        command.run(arguments("me.mp4", "--out", str(tmp_path / "me.onnx"), *words))


def test_too_little_speech_is_refused() -> None:
    with pytest.raises(FootageError, match="only 2 s of usable speech: at least 20 s"):
        refuse_little([planted_clip(frames=60)], 20.0)


def test_a_recording_without_a_part_is_refused() -> None:
    clips = (planted_clip(frames=30),)
    refuse_gaps(Parts(clips, clips, clips))
    with pytest.raises(FootageError, match="in one go"):
        refuse_gaps(Parts(clips, (), clips))


def test_a_clip_of_somebody_else_is_strange_and_a_person_is_not_to_themselves() -> None:
    one = planted_clip("a", frames=60, seed=1)
    other = planted_clip("b", frames=30, seed=2)
    # Another face: a texture that is coarse where the first is fine.
    other.crops[:] = np.repeat(np.repeat(other.crops[:, ::16, ::16], 16, 1), 16, 2)
    assert strangers([one, one, one]) == 0.0
    assert strangers([one, other, one]) == pytest.approx(0.2)
