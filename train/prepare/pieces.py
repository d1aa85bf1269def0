"""Cut tracks into clips: unbroken, usable from first to last frame, between silences. Pure functions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.data.clips import FPS
from train.prepare.settings import Settings
from train.prepare.sound import cuts, tighten
from train.prepare.track import FINE, Track

NO_FACE = "no face"
NO_SOUND = "sound ends before"
NO_SPEECH = "silence"
TOO_SHORT = "usable for too short a time"
_PAUSE_S = 1.0  # of silence that a clip may begin and end with: closed mouths are learned from it


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The frames `first` to `end` (exclusive, of the part of the video) of a track."""

    track: Track
    first: int
    end: int

    @property
    def within(self) -> slice:
        """Its place in the lists of its track."""
        return slice(self.first - self.track.first, self.end - self.track.first)


def runs(fine: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(fine, dtype=np.int8), [0]])))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(end)


def pieces(
    tracks: Sequence[Track],
    frames: int,
    loudness: NDArray[np.float32],
    voice: NDArray[np.bool_],
    settings: Settings,
) -> tuple[list[Piece], Counter[str]]:
    """Return the clips of a part of a video, and how many frames are in none of them, by reason.

    Clips of two people may overlap in time: who speaks is decided later (train.prepare.choice). `loudness` and `voice`
    are of this part; frames without sound are not used.
    """
    shortest, longest = (round(seconds * FPS) for seconds in (settings.shortest_s, settings.longest_s))
    found: list[Piece] = []
    why = [NO_FACE] * frames
    # The largest face has the last word on why a frame was not used.
    for track in sorted(tracks, key=lambda track: float(np.mean(track.eyes))):
        states = track.judged(settings)
        for place, state in enumerate(states, track.first):
            why[place] = NO_SOUND if state == FINE else state
        for begin, stop in runs([state == FINE for state in states]):
            first, end = track.first + begin, min(track.first + stop, len(loudness))
            for cut in cuts(loudness[first:end], longest):
                piece = Piece(track, *tighten(voice, first + cut[0], first + cut[1], round(_PAUSE_S * FPS)))
                why[first + cut[0] : first + cut[1]] = [NO_SPEECH] * (cut[1] - cut[0])
                if piece.end - piece.first >= shortest:
                    found.append(piece)
                else:
                    why[piece.first : piece.end] = [TOO_SHORT] * (piece.end - piece.first)
    used = {place for piece in found for place in range(piece.first, piece.end)}
    lost = Counter(reason for place, reason in enumerate(why) if place not in used)
    return sorted(found, key=lambda piece: (piece.first, piece.track.first)), lost
