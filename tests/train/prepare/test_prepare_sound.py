"""One clock for picture and sound, and cuts where it is quiet."""

from pathlib import Path

import numpy as np
import pytest
from films import RATE, loudness, write_click_film

from realtime.media_file import MediaError, read_video, write_media
from train.prepare.sound import cuts, levels, read_speech, tighten, voiced


@pytest.mark.parametrize("late_s", [0.0, 0.2])
def test_the_click_is_heard_when_the_picture_turns_white(tmp_path: Path, late_s: float) -> None:
    film = tmp_path / "click.mkv"
    write_click_film(film, picture_late_s=late_s)
    white = next(i for i, frame in enumerate(read_video(film, 25.0)) if frame.image.mean() > 128)
    speech = read_speech(film)
    click = int(np.flatnonzero(np.abs(speech.astype(int)) > 10_000)[0])
    assert white == 25 - round(late_s * 25)
    assert abs(click - white * 640) <= 16
    assert len(speech) % 640 == 0


def test_sound_that_was_coded_with_a_lead_in_is_in_its_place(tmp_path: Path) -> None:
    sound = np.zeros(2 * RATE, np.float32)
    sound[RATE : RATE + 160] = 0.8
    write_media(tmp_path / "aac.mp4", [np.zeros((64, 64, 3), np.uint8)] * 50, 25.0, sound, RATE)
    heard = np.abs(read_speech(tmp_path / "aac.mp4").astype(int))
    assert abs(int(np.flatnonzero(heard > 8000)[0]) - RATE) <= 32


def test_a_silent_film_says_what_it_lacks(tmp_path: Path) -> None:
    write_media(tmp_path / "mute.mp4", [np.zeros((64, 64, 3), np.uint8)] * 5, 25.0)
    with pytest.raises(MediaError, match="no audio track"):
        read_speech(tmp_path / "mute.mp4")


def test_levels_are_decibels_of_full_scale() -> None:
    tone = 16384 * np.sqrt(2) * np.sin(np.arange(1300) * 2 * np.pi / 64)
    found = levels(tone.astype(np.int16))
    assert found.shape == (2,)
    assert found == pytest.approx(-6.02, abs=0.05)
    assert levels(np.zeros(640, np.int16)) == pytest.approx(-100.0)


def test_cuts_fall_into_silences_and_keep_to_the_longest() -> None:
    loud = loudness((6, -20), (1, -60), (5, -20), (0.4, -50), (7.6, -20))
    found = list(cuts(loud, 250))
    assert found[0][0] == 0 and found[-1][1] == len(loud)
    assert all(end == begin for (_, end), (begin, _) in zip(found, found[1:], strict=False))
    assert 6 * 25 <= found[0][1] <= 7 * 25
    assert 12 * 25 <= found[1][1] <= round(12.4 * 25)
    assert all(end - first <= 250 for first, end in found)


def test_speech_without_a_pause_is_cut_all_the_same() -> None:
    found = list(cuts(np.full(1000, -20.0, np.float32), 250))
    assert all(125 <= end - first <= 250 for first, end in found[:-1])
    assert list(cuts(np.zeros(0, np.float32), 250)) == []


def test_silence_is_not_speech_and_long_silences_are_cut_off() -> None:
    voice = voiced(loudness((4, -70), (2, -20), (3, -70)))
    assert voice.sum() == 50
    assert tighten(voice, 0, len(voice), 25) == (75, 175)
    assert tighten(voice, 0, 100, 25) == (0, 0)
    assert not voiced(np.full(100, -80.0, np.float32)).any()
    assert voiced(np.zeros(0, np.float32)).shape == (0,)
