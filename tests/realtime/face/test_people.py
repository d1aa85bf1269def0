from collections.abc import Sequence

import numpy as np
import pytest
from values import not_none

from realtime.face.people import Descriptor, People, SeenFace

Row = Sequence[tuple[int, float] | tuple[int, float, float]]
"""Who is seen in one frame: who, where, and how large where that is not 100 px."""


def looks(person: int, noise: float = 0.0, seed: int = 0) -> Descriptor:
    """Return a descriptor of `person`: people differ by about 0.8 an entry, sightings of one by `noise`."""
    base = np.random.default_rng(100 + person).uniform(-0.8, 0.8, 48) * 1.5
    return (base + np.random.default_rng(seed).normal(0.0, max(noise, 1e-9), 48)).astype(np.float32)


def face(person: int, x: float, y: float = 200.0, size: float = 100.0, seed: int = 0) -> SeenFace:
    half = size / 2.0
    return SeenFace((x - half, y - half, x + half, y + half), looks(person, 0.1, seed))


def walk(people: People, script: Sequence[Row], start_ms: float = 40.0) -> list[int | None]:
    """Show frames 40 ms apart, a row of `script` in each; return who was followed."""
    followed: list[int | None] = []
    for i, row in enumerate(script):
        faces = [face(who, x, size=rest[0] if rest else 100.0, seed=i) for who, x, *rest in row]
        shown = people.update(faces, start_ms + 40.0 * i)
        followed.append(shown.number if shown else None)
    return followed


def at(people: People, x: float) -> int:
    return next(p.number for p in people.present if p.face.box[0] <= x <= p.face.box[2])


def test_one_face_is_one_person() -> None:
    people = People()
    assert set(walk(people, [[(1, 200.0 + i)] for i in range(50)])) == {1}
    assert len(people.known) == 1


def test_the_largest_is_followed() -> None:
    people = People()
    assert set(walk(people, [[(1, 100.0, 80.0), (2, 400.0, 140.0)]] * 5)) == {at(people, 400.0)}


def test_identities_survive_a_crossing_with_a_face_hidden_at_the_middle() -> None:
    people = People()
    script = []
    for i in range(60):
        row = [(1, 100.0 + 8 * i), (2, 572.0 - 8 * i)]
        # While they overlap the detector sees the nearer one only.
        script.append(row[:1] if abs(row[0][1] - row[1][1]) < 60.0 else row)
    walk(people, script[:1])
    people.choose(572.0, 200.0)
    second = not_none(people.followed).number
    followed = walk(people, script[1:], 80.0)
    assert set(followed) == {second, None}
    assert followed[-1] == second and at(people, 100.0) == second
    assert len(people.known) == 2


def test_nobody_jumps_to_the_one_in_front_while_the_followed_is_hidden_for_a_second() -> None:
    people = People()
    before = [[(1, 300.0, 120.0), (2, 500.0, 110.0)]] * 10
    hidden = [[(2, 500.0 - 10 * i, 110.0)] for i in range(25)]
    after = [[(1, 300.0, 120.0), (2, 250.0 - 10 * i, 110.0)] for i in range(10)]
    followed = walk(people, before + hidden + after)
    assert set(followed[:10]) == {1} and set(followed[10:35]) == {None} and set(followed[35:]) == {1}
    assert len(people.known) == 2


def test_who_comes_back_within_seconds_is_the_same_and_followed_again() -> None:
    people = People()
    walk(people, [[(1, 100.0, 90.0), (2, 400.0, 100.0)]] * 5)
    people.choose(100.0, 200.0)
    one = not_none(people.followed).number
    away = walk(people, [[(2, 400.0)]] * 125, 300.0)
    assert set(away) == {None}
    back = walk(people, [[(1, 600.0, 90.0), (2, 400.0)]] * 3, 5400.0)
    assert set(back) == {one}
    # The choice holds: no face is so large that it takes over.
    assert set(walk(people, [[(1, 600.0, 90.0), (2, 400.0, 100.0 + 2.0 * i)] for i in range(50)], 5520.0)) == {one}


def test_who_stays_away_is_forgotten_and_the_choice_with_them() -> None:
    people = People()
    walk(people, [[(1, 100.0), (2, 400.0)]])
    people.choose(100.0, 200.0)
    left = walk(people, [[(2, 400.0)]] * 260, 80.0)
    assert left[-1] == at(people, 400.0)
    assert walk(people, [[(1, 100.0)]], 40_000.0) == [3]
    larger = walk(people, [[(1, 100.0), (4, 400.0, 200.0)]] * 40, 40_040.0)
    assert larger[-1] == at(people, 400.0)


def test_without_a_choice_the_next_largest_is_taken_after_a_while() -> None:
    people = People()
    walk(people, [[(1, 100.0, 120.0), (2, 400.0)]] * 5)
    followed = walk(people, [[(2, 400.0)]] * 50, 240.0)
    assert followed[:37] == [None] * 37 and followed[-1] == at(people, 400.0)


def test_similar_sizes_do_not_flap_and_a_much_larger_face_takes_over_after_a_second() -> None:
    people = People()
    rng = np.random.default_rng(4)
    script = [[(1, 150.0, 100 + 15 * rng.normal()), (2, 450.0, 102 + 15 * rng.normal())] for _ in range(500)]
    assert len(set(walk(people, script))) == 1
    one = not_none(people.followed).number
    other = 450.0 if at(people, 150.0) == one else 150.0
    row = [(1, 150.0, 100.0 if other == 450.0 else 200.0), (2, 450.0, 200.0 if other == 450.0 else 100.0)]
    grown = walk(people, [row] * 30, 20_040.0)
    assert set(grown[:20]) == {one} and grown[-1] == at(people, other)


def test_next_goes_round_from_left_to_right() -> None:
    people = People()
    walk(people, [[(1, 100.0), (2, 300.0, 140.0), (3, 500.0)]])
    assert [not_none(people.next()).face.centre[0] for _ in range(3)] == [500.0, 100.0, 300.0]
    assert people.choose(900.0, 10.0) is None and not_none(people.followed).face.centre[0] == 300.0


def test_a_newcomer_is_somebody_else_even_in_the_same_place() -> None:
    people = People()
    assert walk(people, [[(1, 200.0)], [(2, 200.0)]])[0] == 1
    assert [person.number for person in people.known] == [1, 2]


def test_memory_is_bounded_and_empty_frames_are_nothing() -> None:
    people = People()
    assert people.update([], 0.0) is None and people.next() is None
    for who in range(20):
        people.update([face(who, 50.0 * who, seed=who), face(who + 50, 60.0 * who, 400.0)], 40.0 + 40.0 * who)
    assert len(people.known) == 8 and people.followed is not None
    with pytest.raises(ValueError, match="after one at"):
        people.update([], 40.0)
    several = People()
    several.update([face(i, 90.0 * i) for i in range(4)], 0.0)
    assert len(several.known) == 4


def test_near_says_when_faces_may_cross() -> None:
    people = People()
    walk(people, [[(1, 100.0), (2, 600.0)]])
    assert not people.near(2.0, 40.0) and people.near(6.0, 40.0)
