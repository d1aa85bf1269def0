"""Join what a caller says with the mouth that was seen saying it, and let the generator learn from both. One thread."""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np

from models.callerlayer import Numbers, TeachableGenerator
from models.generator import Generator
from realtime.face.caller import Caller
from realtime.face.measure import TrackedFace
from realtime.picture.synth_api import HeardFrame, Learned

_TURN: Final = 20.0  # degrees of turn beyond which a mouth is seen too much from the side
_SEEN: Final = 96  # mouths that wait for their sound to be heard: 4 s
_SETTLED: Final = 3  # frames after which a face that was found anew is trusted


class MouthLearning:
    """Teach one generator one caller's mouth; does nothing where the generator has no layer for it."""

    def __init__(self, generator: Generator) -> None:
        """Set the caller's layer of `generator`, which nobody else may set."""
        self._generator: TeachableGenerator | None = generator if isinstance(generator, TeachableGenerator) else None
        self._seen: deque[tuple[float, Numbers]] = deque(maxlen=_SEEN)
        self._caller: Caller | None = None
        self._who: Hashable = None
        self._own = True
        self._sequence, self._settled = 0, 0

    def see(self, face: TrackedFace | None, reason: str | None, who: Hashable, media_ms: float) -> None:
        """Take the face of a real frame, if any.

        Args:
            face: as tracked.
            reason: why its mouth is not to be trusted; None where it is.
            who: whose face it is; when it changes everything is forgotten.
            media_ms: time of the frame.
        """
        if self._generator is None:
            return
        if who != self._who:
            self._who = who
            self.forget()
        if face is None or reason is not None:
            return
        self._settled = self._settled + 1 if face.sequence == self._sequence else 0
        self._sequence = face.sequence
        if self._settled >= _SETTLED and abs(face.yaw) <= _TURN:
            self._seen.append((media_ms, self._generator.mouth(face.landmarks)))

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        """Learn from real frames, by rising time, whose mouths were seen or not; return what is known by now."""
        if self._generator is None:
            return Learned()
        caller = self._known(self._generator)
        windows = [frame.window for frame in heard if frame.window is not None]
        said = iter(zip(*self._generator.hear(np.stack(windows)), strict=True) if windows else ())
        for frame in heard:
            told = None if frame.window is None else next(said)
            caller.add(frame.media_ms, told, self._mouth_at(frame.media_ms))
        self._apply()
        return Learned(caller.learned_s, caller.layer is not None)

    def forget(self) -> None:
        """Forget the caller: the general layer makes the mouth again."""
        self._seen.clear()
        self._caller = None
        self._apply()

    def speak(self, *, own: bool) -> None:
        """Say whether the mouth speaks with the caller's `own` voice from now on; another's has the general layer."""
        if own != self._own:
            self._own = own
            self._apply()

    def _apply(self) -> None:
        if self._generator is not None:
            self._generator.caller = self._caller.layer if self._own and self._caller is not None else None

    def _known(self, generator: TeachableGenerator) -> Caller:
        if self._caller is None:
            hearing = generator.hearing
            hidden, told = generator.hear(np.repeat(hearing.silence, hearing.columns, 1)[None])
            self._caller = Caller((hidden[0], told[0]), generator.opens)
        return self._caller

    def _mouth_at(self, media_ms: float) -> Numbers | None:
        """Return the mouth seen in the frame of `media_ms`; those of older frames are dropped."""
        while self._seen and self._seen[0][0] < media_ms:
            self._seen.popleft()
        return self._seen.popleft()[1] if self._seen and self._seen[0][0] == media_ms else None
