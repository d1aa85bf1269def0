"""The teacher's hearing is prepared once, and the command teaches a student that opens as ONNX."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ears_files import ears_bytes
from ears_speech import babble, write_teacher, write_wav

from models.ears.onnx import Ears
from models.ears.whisper import WhisperEncoder, load_whisper
from train.data.clips import Split
from train.data.sounds import Sound
from train.ears.command import run
from train.ears.config import SpoiltConfig
from train.ears.heard import Lessons, columns_for, prepare
from train.kinds import Options

CONFIG = """
teacher = "{teacher}"
batch = 4
frames = 60
settle = 5
delays = [0, 2]
speech = {{ folders = ["{speech}"], test = 0.3, piece_s = 2.0, held_out = 2 }}
spoilt = {{ room = 0.5, noise = 0.5, codec = 0.0 }}
model = {{ layers = 1, past = 6 }}
loop = {{ steps = 16, learning_rate = 4e-3, warmup = 1, ema = 0.5, evaluate_every = 8 }}
"""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> WhisperEncoder:
    return load_whisper(write_teacher(tmp_path_factory.mktemp("teacher") / "tiny.npz"))


def sounds(count: int = 3, seed: int = 0, seconds: float = 1.0) -> Iterator[Sound]:
    yield from (babble(seconds, seed + at) for at in range(count))


def made(
    folder: Path,
    teacher: WhisperEncoder,
    pieces: Iterator[Sound],
    spoilt: SpoiltConfig | None = None,
    *,
    origin: str = "a",
    seed: int = 1,
) -> Lessons:
    spoilt = spoilt or SpoiltConfig(codec=0.0)
    return prepare(pieces, teacher, spoilt, folder, seed, lambda line: None, origin=origin)


def equal(one: Lessons, other: Lessons) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_pieces_are_heard_by_the_teacher_in_every_voice(tmp_path: Path, teacher: WhisperEncoder) -> None:
    heard = made(tmp_path, teacher, sounds(), SpoiltConfig(renditions=2, codec=0.0))
    assert heard.taught.shape == (6, 50, 64)
    assert heard.clean.shape == heard.spoilt.shape == (6, 80, 103)
    assert not np.array_equal(heard.clean[0], heard.clean[3]), "the second rendition is another voice"
    assert not np.array_equal(heard.clean, heard.spoilt)


def test_what_was_made_is_read_and_not_made_again(tmp_path: Path, teacher: WhisperEncoder) -> None:
    first = made(tmp_path, teacher, sounds())

    def nothing() -> Iterator[Sound]:
        raise AssertionError("it was made already")
        yield

    assert equal(made(tmp_path, teacher, nothing()), first)


def test_an_interrupted_start_goes_on_with_what_it_has(tmp_path: Path, teacher: WhisperEncoder) -> None:
    whole = made(tmp_path / "whole", teacher, sounds(66, seconds=0.1))

    def interrupted() -> Iterator[Sound]:
        yield from sounds(65, seconds=0.1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut", teacher, interrupted())
    (kept,) = (tmp_path / "cut").glob("*.npz")
    written = kept.stat().st_mtime_ns
    assert equal(made(tmp_path / "cut", teacher, sounds(66, seconds=0.1)), whole)
    assert kept.stat().st_mtime_ns == written


def test_other_sounds_settings_seeds_or_teachers_are_made_anew(tmp_path: Path, teacher: WhisperEncoder) -> None:
    first = made(tmp_path / "run", teacher, sounds())
    other_teacher = load_whisper(write_teacher(tmp_path / "other.npz", seed=1))
    loud = SpoiltConfig(noise=1.0, snr_db=(0.0, 1.0), codec=0.0)
    for at, (who, spoilt, origin, seed) in enumerate(
        [(teacher, None, "b", 1), (teacher, loud, "b", 1), (teacher, loud, "b", 2), (other_teacher, loud, "b", 2)]
    ):
        again = made(tmp_path / "run", who, sounds(2, seed=9), spoilt, origin=origin, seed=seed)
        assert len(again.taught) == 2 and not equal(again, first), "what an older start left is read"
        assert equal(again, made(tmp_path / f"fresh-{at}", who, sounds(2, seed=9), spoilt, origin=origin, seed=seed))
        first = again


@pytest.mark.parametrize("samples", [16_000, 15_990, 15_700])
def test_the_student_is_taught_with_the_columns_that_it_will_hear(samples: int) -> None:
    sound, ears = babble(1.0)[:samples], Ears(ears_bytes())
    frames = 1 + samples // 320
    heard, _ = ears.run(columns_for(sound, frames), ears.state)
    np.testing.assert_allclose(heard, ears.hear(sound), atol=1e-4)


def test_no_speech_is_an_error_with_a_remedy(tmp_path: Path, teacher: WhisperEncoder) -> None:
    with pytest.raises(ValueError, match="check speech.folders"):
        made(tmp_path, teacher, sounds(0))


def test_the_command_teaches_and_writes_ears_that_open(tmp_path: Path) -> None:
    split, names = Split("clip", 0.3), [f"talk-{at}" for at in range(8)]
    assert {split.role("", name) for name in names} == {"train", "test"}
    for at, name in enumerate(names):
        write_wav(tmp_path / "speech" / f"{name}.wav", babble(4.2, at))
    config = tmp_path / "tiny.toml"
    teacher = write_teacher(tmp_path / "tiny.npz")
    config.write_text(CONFIG.format(teacher=teacher, speech=tmp_path / "speech"))
    lines: list[str] = []
    out = tmp_path / "ears.onnx"
    assert run(config, [], tmp_path / "run", out, Options(report=lines.append)) == 0
    assert lines[-1].startswith("wrote ears.onnx")
    ears = Ears(out)
    assert (ears.config.width, ears.config.heads, ears.config.layers, ears.config.past) == (64, 1, 1, 6)
    assert ears.hear(babble(1.0)).shape == (64, 51)
    told = [float(found[1]) for line in lines if (found := re.search(r"clean 0 (-?[\d.]+)", line))]
    assert len(told) == 2 and told[-1] > told[0], "more of the teacher is told after more steps"
