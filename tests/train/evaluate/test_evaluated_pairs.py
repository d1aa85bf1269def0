"""Pair lists: fixed, honest, and refused for other data."""

from pathlib import Path

import pytest

from train.evaluate.pairs import PairsError, choose, committed, draw_pairs, keys_digest, read_pairs, write_pairs

CLIPS = [(f"anna-{number}", "anna") for number in range(6)] + [("ben-0", "ben")]


def test_frames_are_the_speakers_own_but_of_another_clip() -> None:
    pairs = draw_pairs(CLIPS, "test", seed=3).pairs
    who = dict(CLIPS)
    assert sorted(pair.speech for pair in pairs) == sorted(who), "each clip is spoken once"
    assert sorted(pair.pose for pair in pairs) == sorted(who), "and shown once"
    for pair in pairs:
        assert who[pair.pose] == who[pair.speech]
        assert pair.other != pair.speech
        assert (pair.pose == pair.speech) == (who[pair.speech] == "ben"), "only who has one clip speaks over it"


def test_the_same_seed_draws_the_same_list_whatever_the_order() -> None:
    assert draw_pairs(CLIPS, "test", seed=3) == draw_pairs(CLIPS[::-1], "test", seed=3)
    assert draw_pairs(CLIPS, "test", seed=3).pairs != draw_pairs(CLIPS, "test", seed=4).pairs


def test_a_list_survives_its_file_and_knows_its_data(tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    pairs = draw_pairs(CLIPS, "test")
    write_pairs(file, pairs)
    assert read_pairs(file) == pairs
    assert choose(CLIPS, file, seed=9) == pairs, "the seed counts only where there is no list"
    with pytest.raises(PairsError, match="lacks 1 of the list's clips.*--draw"):
        choose(CLIPS[1:], file, seed=1)
    with pytest.raises(PairsError, match="clips that the list lacks"):
        choose([*CLIPS, ("cleo-0", "cleo")], file, seed=1)


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    file.write_text('{"format": "something else"}')
    with pytest.raises(PairsError, match="no list of pairs"):
        read_pairs(file)
    with pytest.raises(PairsError, match="--draw"):
        read_pairs(tmp_path / "missing.json")


def test_unknown_data_gets_a_drawn_list() -> None:
    assert committed([key for key, _ in CLIPS]) is None
    assert choose(CLIPS, None, seed=5) == draw_pairs(CLIPS, "drawn", seed=5)
    assert keys_digest(["a", "b"]) == keys_digest(["b", "a"]) != keys_digest(["a"])
