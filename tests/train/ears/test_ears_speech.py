"""Speech in folders becomes pieces of one length, each for one role."""

from pathlib import Path

import numpy as np
import pytest
from ears_speech import RATE, babble, write_wav

from train.data.clips import Split
from train.ears.config import SpeechConfig
from train.ears.speech import origin_of, pieces, recordings

TEST = 0.4
NAMES = [f"talk-{at}" for at in range(10)]


def names_of(role: str) -> list[str]:
    return [name for name in NAMES if Split("clip", TEST).role("", name) == role]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at, name in enumerate(NAMES):
        write_wav(tmp_path / "speech" / "anna" / f"{name}.wav", babble(1.5, at))
    return tmp_path / "speech"


def speech(
    folder: Path, *, leave_out: tuple[str, ...] = (), piece_s: float = 2.0, most_min: float = 20.0
) -> SpeechConfig:
    return SpeechConfig(folders=(folder,), test=TEST, leave_out=leave_out, piece_s=piece_s, most_min=most_min)


def test_every_recording_has_one_role(folder: Path) -> None:
    (train,), (test,) = recordings(speech(folder), "train"), recordings(speech(folder), "test")
    assert [path.stem for path in train] == names_of("train")
    assert [path.stem for path in test] == names_of("test")
    assert train and test


def test_recordings_that_begin_so_are_left_out(folder: Path) -> None:
    left_out = names_of("train")[0]
    write_wav(folder / "anna" / "notes.txt", babble(0.1))
    (train,) = recordings(speech(folder, leave_out=(left_out,)), "train")
    assert [path.stem for path in train] == [name for name in names_of("train") if not name.startswith(left_out)]


def test_short_recordings_are_joined_with_pauses_to_pieces_of_one_length(folder: Path) -> None:
    found = list(pieces(speech(folder), "train"))
    joined = len(names_of("train")) * 1.8
    assert len(found) == int(joined // 2.0)
    assert all(piece.shape == (2 * RATE,) and piece.dtype == np.float32 for piece in found)
    first = babble(1.5, NAMES.index(names_of("train")[0]))
    np.testing.assert_allclose(found[0][: first.size], first, atol=1e-3)
    assert not found[0][first.size : first.size + round(0.3 * RATE)].any()


def test_no_more_is_taken_of_one_folder_than_its_share(folder: Path) -> None:
    for at, name in enumerate(NAMES):
        write_wav(folder / "ben" / f"{name}.wav", babble(1.5, at + 20))
    everything = len(list(pieces(speech(folder), "train")))
    assert len(list(pieces(speech(folder, most_min=4.0 / 60.0), "train"))) == 2 * 2 < everything


def test_files_that_cannot_be_read_and_silence_are_left_out(folder: Path) -> None:
    expected = list(pieces(speech(folder), "train"))
    broken = next(f"zz-{at}" for at in range(99) if Split("clip", TEST).role("", f"zz-{at}") == "train")
    (folder / "anna" / f"{broken}.wav").write_bytes(b"RIFF, so it says")
    write_wav(folder / "quiet" / f"{broken}.wav", np.zeros(5 * RATE, np.float32))
    found = list(pieces(speech(folder), "train"))
    assert len(found) == len(expected)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_folders_without_recordings_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        list(pieces(speech(tmp_path / "none"), "train"))
    with pytest.raises(ValueError, match="no recordings to train"):
        list(pieces(speech(tmp_path), "train"))


def test_an_origin_changes_with_all_that_changes_the_pieces(folder: Path) -> None:
    def origins() -> list[str]:
        return [
            origin_of(speech(folder), "train"),
            origin_of(speech(folder), "test"),
            origin_of(speech(folder), "test", 3),
            origin_of(speech(folder, piece_s=3.0), "train"),
            origin_of(speech(folder, most_min=1.0), "train"),
            origin_of(speech(folder, leave_out=(names_of("train")[1],)), "train"),
        ]

    before = origins()
    assert len(set(before)) == len(before) and origins() == before
    write_wav(folder / "anna" / f"{names_of('train')[0]}.wav", babble(1.0))
    assert origin_of(speech(folder), "train") != before[0] and origin_of(speech(folder), "test") == before[1]
