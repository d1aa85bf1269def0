"""Who is who among several faces, and which of them is followed. Pure: NumPy only, times as arguments, bounded."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray

Descriptor = NDArray[np.float32]
"""(n,) float32, how a face looks; two of one person lie under about 0.5 apart on average over the entries."""

MOST_FACES: Final = 4
"""Faces of one frame that are told apart; smaller ones are left out."""

_MOST_PEOPLE: Final = 8  # known at a time, seen and unseen
_MEMORY_MS: Final = 10_000.0  # who comes back within it is the same
_ABSENT_MS: Final = 1_500.0  # the largest of the others is followed when nobody chose who is away for longer
_LARGER: Final = 1.3  # in width: by less, sizes are similar
_LARGER_MS: Final = 1_000.0  # and for this long
_REACH: Final = 0.8  # face widths that a guess of the place may be off
_SPREAD: Final = 2.5  # widths a second by which it may be off the more, the longer ago the face was seen
_UNLIKE: Final = 1.0  # distance of descriptors beyond which it is another person
_LOOKS: Final = 2.0  # weight of the descriptor against the place
_LEARN: Final = 0.1  # of the descriptor, per sighting
_ABSENT_COST: Final = 1.5


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face in one frame: its `box` x0, y0, x1, y1 in px and how it looks."""

    box: tuple[float, float, float, float]
    looks: Descriptor

    @property
    def centre(self) -> NDArray[np.float64]:
        """Middle of the box, (2,) px."""
        x0, y0, x1, y1 = self.box
        return np.array([(x0 + x1) / 2.0, (y0 + y1) / 2.0])

    @property
    def width(self) -> float:
        """Geometric mean of width and height in px, which a turn of the head changes little; at least 1."""
        x0, y0, x1, y1 = self.box
        return max(float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0))), 1.0)


@dataclass(frozen=True, slots=True)
class FaceMark:
    """A face as shown to the person who chooses: the `number` of its person, its `box`, if it is `followed`."""

    number: int
    box: tuple[float, float, float, float]
    followed: bool


@dataclass(slots=True)
class Person:
    """A person, as known so far.

    Attributes:
        number: number of the person, from 1 up; never given twice.
        face: the face as seen last.
        looks: mean of the looks over all sightings.
        seen_ms: time at which `face` was seen, in ms.
        velocity: velocity of the face, (2,) px per ms.
    """

    number: int
    face: SeenFace
    looks: Descriptor
    seen_ms: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def place(self, t_ms: float) -> NDArray[np.float64]:
        """Return where the middle of the face is expected at `t_ms`, (2,) px, assuming that no speed lasts long."""
        return self.face.centre + self.velocity * min(t_ms - self.seen_ms, 300.0)


class People:
    """Up to 8 people, kept apart over time, and which of them is followed.

    The largest face is followed until somebody chooses. Without a choice the followed one changes when another is 1.3
    times as large for a second, or when it is away for 1.5 s; a chosen one is waited for 10 s, and followed again when
    seen within that time. Nobody is followed in a frame that does not show the followed person.
    """

    def __init__(self) -> None:
        """Begin with nobody known."""
        self._people: list[Person] = []
        self._count = 0
        self._now_ms = 0.0
        self._followed: int | None = None
        self._chosen = False
        self._challenge: tuple[int, float] | None = None

    @property
    def present(self) -> tuple[Person, ...]:
        """The people in the newest frame, by number."""
        return tuple(person for person in self._people if person.seen_ms == self._now_ms)

    @property
    def known(self) -> tuple[Person, ...]:
        """All people remembered, by number."""
        return tuple(self._people)

    @property
    def followed(self) -> Person | None:
        """Who is followed, in the newest frame or not; None when nobody was seen."""
        return self._get(self._followed)

    @property
    def shown(self) -> Person | None:
        """Who is followed and in the newest frame, else None."""
        person = self.followed
        return person if person is not None and person.seen_ms == self._now_ms else None

    @property
    def marks(self) -> tuple[FaceMark, ...]:
        """The faces of the newest frame, by number of their people."""
        return tuple(FaceMark(p.number, p.face.box, p.number == self._followed) for p in self.present)

    def near(self, widths: float, t_ms: float) -> bool:
        """Return whether anybody seen within 1.5 s is within `widths` face widths of who is followed."""
        person = self.followed
        if person is None:
            return False
        around = [p for p in self._people if p is not person and t_ms - p.seen_ms <= _ABSENT_MS]
        reach = widths * person.face.width
        return any(float(np.abs(p.place(t_ms) - person.place(t_ms)).max()) < reach for p in around)

    def update(self, faces: Sequence[SeenFace], t_ms: float) -> Person | None:
        """Assign all faces of the frame at `t_ms`, later than the last, to people; return `shown`.

        Raises:
            ValueError: time runs back.
        """
        if self._people and t_ms <= self._now_ms:
            raise ValueError(f"frame at {t_ms} ms after one at {self._now_ms} ms")
        self._now_ms = t_ms
        self._people = [p for p in self._people if t_ms - p.seen_ms <= _MEMORY_MS]
        faces = sorted(faces, key=lambda face: -face.width)[:MOST_FACES]
        for face, person in zip(faces, self._assign(faces, t_ms), strict=True):
            if person is None:
                self._meet(face, t_ms)
            else:
                _see(person, face, t_ms)
        self._decide(t_ms)
        return self.shown

    def choose(self, x: float, y: float) -> Person | None:
        """Follow the person whose face holds the point (px) in the newest frame; return them, None where there is none.

        Of faces that overlap it is the one whose middle is nearest.
        """
        under = [p for p in self.present if p.face.box[0] <= x <= p.face.box[2] and p.face.box[1] <= y <= p.face.box[3]]
        if not under:
            return None
        return self._choose(min(under, key=lambda p: float(np.hypot(*(p.face.centre - (x, y))))))

    def next(self) -> Person | None:
        """Follow the next person of the newest frame, from left to right and round; return them, None with no face."""
        row = sorted(self.present, key=lambda p: p.face.centre[0])
        if not row:
            return None
        at = [index for index, person in enumerate(row) if person.number == self._followed]
        return self._choose(row[(at[0] + 1) % len(row)] if at else row[0])

    def _choose(self, person: Person) -> Person:
        self._followed, self._chosen, self._challenge = person.number, True, None
        return person

    def _get(self, number: int | None) -> Person | None:
        return next((person for person in self._people if person.number == number), None)

    def _meet(self, face: SeenFace, t_ms: float) -> None:
        if len(self._people) >= _MOST_PEOPLE:
            others = [p for p in self._people if p.number != self._followed]
            self._people.remove(min(others, key=lambda p: p.seen_ms))
        self._count += 1
        self._people.append(Person(self._count, face, face.looks.copy(), t_ms))

    def _assign(self, faces: Sequence[SeenFace], t_ms: float) -> list[Person | None]:
        """Return the person of each face, all faces together at the least cost; None is somebody new."""
        if not faces:
            return []
        people = list(self._people)
        costs = np.array([[_cost(person, face, t_ms) for person in people] for face in faces]).reshape(len(faces), -1)
        # Somebody new costs the same for every face: columns beyond the people stand for that.
        costs = np.hstack([costs, np.full((len(faces), len(faces)), _ABSENT_COST)])
        rows = np.arange(len(faces))
        useful = [j for j in range(len(people)) if (costs[:, j] < _ABSENT_COST).any()]
        columns = useful + list(range(len(people), costs.shape[1]))
        # 4 faces and 8 people are at most 11,880 ways; with one or two faces it is a handful.
        best = min(permutations(columns, len(faces)), key=lambda way: float(costs[rows, list(way)].sum()))
        return [people[j] if j < len(people) else None for j in best]

    def _decide(self, t_ms: float) -> None:
        person = self.followed
        if self._chosen and person is not None:
            return
        self._chosen = False
        present = self.present
        if not present:
            return
        largest = max(present, key=lambda p: p.face.width)
        if person is None or t_ms - person.seen_ms > _ABSENT_MS:
            self._followed, self._challenge = largest.number, None
        elif person.seen_ms == t_ms and largest.face.width > _LARGER * person.face.width:
            if self._challenge is None or self._challenge[0] != largest.number:
                self._challenge = (largest.number, t_ms)
            if t_ms - self._challenge[1] >= _LARGER_MS:
                self._followed, self._challenge = largest.number, None
        elif person.seen_ms == t_ms:
            self._challenge = None


def moved(marks: tuple[FaceMark, ...], landmarks: NDArray[np.float32]) -> tuple[FaceMark, ...]:
    """Return `marks` with the followed face at its newest `landmarks`, (n, 2) px."""
    (x0, y0), (x1, y1) = landmarks.min(0), landmarks.max(0)
    box = float(x0), float(y0), float(x1), float(y1)
    return tuple(replace(mark, box=box) if mark.followed else mark for mark in marks)


def _cost(person: Person, face: SeenFace, t_ms: float) -> float:
    """Return how badly `face` fits `person`; 1.5 and more is somebody else."""
    unlike = float(np.abs(person.looks - face.looks).mean())
    if unlike > _UNLIKE:
        return 9.0
    away_s = (t_ms - person.seen_ms) / 1000.0
    width = max(person.face.width, face.width)
    off = float(np.hypot(*(person.place(t_ms) - face.centre))) / (width * (_REACH + _SPREAD * away_s))
    grown = abs(float(np.log(face.width / person.face.width))) / (0.4 + away_s)
    # Whoever was away may come back anywhere: then looks decide, and place counts for a little at most.
    return min(off, 1.0 if away_s > 0.5 else 9.0) * 0.5 + min(grown, 1.0) * 0.25 + _LOOKS * unlike


def _see(person: Person, face: SeenFace, t_ms: float) -> None:
    passed = t_ms - person.seen_ms
    speed = (face.centre - person.face.centre) / passed if passed <= 500.0 else np.zeros(2)
    person.velocity = 0.5 * person.velocity + 0.5 * speed
    person.face, person.seen_ms = face, t_ms
    person.looks = (person.looks + np.float32(_LEARN) * (face.looks - person.looks)).astype(np.float32)
