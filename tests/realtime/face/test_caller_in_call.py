"""A call teaches the generator: sound through the speech path, faces through the tracker, a layer of their own."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from face_fakes import draw, face_at
from numpy.typing import NDArray

from models.alignment import MelWindow
from models.callerlayer import CallerLayer, Numbers
from models.generator import FaceImage, Image, Landmarks, Patch
from models.hearing import Columns
from models.landmarks import aligned_matrix, mouth_opening
from realtime.face.measure import TrackedFace, describe
from realtime.face.synth import FaceSynth
from realtime.media import VideoFrame
from realtime.picture.requests import SynthRequests
from realtime.picture.synth_api import HeardFrame, Learned, SynthJob, SynthResult
from realtime.speech.audio import SpeechPath

HIDDEN = 16
SECONDS = 22.0
LATE_MS = 6.5


class TinyMouth:
    """A generator of one coefficient, the opening in eye distances, told from the mean of the mel window."""

    name = "tiny"
    references_wanted = 1

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.hearing = MelWindow.for_lookahead(60.0)
        self.caller: CallerLayer | None = None
        self.opens = np.ones(1, np.float32)
        self.drawn_by: list[CallerLayer | None] = []
        self._mix = rng.normal(0.0, 0.06, (80, HIDDEN)).astype(np.float32)
        self.general, self.own = rng.normal(0.0, 0.05, (2, HIDDEN, 1)).astype(np.float32)

    def hear(self, windows: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
        hidden = np.maximum((windows.mean(2) + 4.0) @ self._mix, 0.0)
        return hidden, hidden @ self.general

    def mouth(self, landmarks: Landmarks) -> Numbers:
        return np.array([mouth_opening(landmarks)], np.float32)

    def prepare(self, face: FaceImage) -> FaceImage:
        return face

    def generate(self, window: NDArray[np.float32], pose: FaceImage, references: Sequence[FaceImage]) -> Patch:
        self.drawn_by.append(self.caller)
        return Patch(np.zeros((32, 32, 3), np.uint8), aligned_matrix(pose.landmarks, 32), pose.landmarks)


class TellingTracker:
    """Track faces by a script that says who they are."""

    def __init__(self) -> None:
        self.next: tuple[Landmarks, int] = face_at(), 1

    def track(self, image: Image, t_ms: float) -> TrackedFace | None:
        landmarks, person = self.next
        return describe(image, landmarks, landmarks, 1, person)

    def close(self) -> None:
        pass


class AtOnce:
    """A synthesizer that does all it is asked on the spot."""

    def __init__(self, face: FaceSynth) -> None:
        self.face = face
        self.learned = Learned()

    def observe(self, frame: VideoFrame) -> None:
        self.face.observe(frame.image, frame.media_ms)

    def learn(self, heard: Sequence[HeardFrame]) -> None:
        self.learned = self.face.learn(heard)

    def begin(self, media_ms: float) -> None:
        self.face.start(media_ms)

    def request(self, job: SynthJob) -> None:
        self.face.render(job.mel, job.media_ms, speech=job.speech)

    def take(self, media_ms: float) -> SynthResult | None:
        return None

    def ready(self, media_ms: float, since_ms: float = float("-inf")) -> bool:
        return False

    def release(self) -> None:
        self.face.stop()


class Call:
    """Sound and pictures of somebody whose mouth moves in a way of their own."""

    def __init__(self) -> None:
        self.generator, self.tracker = TinyMouth(), TellingTracker()
        self.synth = AtOnce(FaceSynth(self.generator, self.tracker))
        self.speech = SpeechPath(self.generator.hearing)
        self.requests = SynthRequests(self.synth, self.speech, lambda: True, interval_ms=40.0, heard_late_ms=LATE_MS)
        self.person = 1
        self._image = draw(face_at())
        self._rng = np.random.default_rng(1)
        # The mouths of a call are known when its sound is: the same sound is heard ahead.
        self._sound = babble(SECONDS + 2.0, self._rng)
        self._mouth = self._mouth_of()
        self.at = 0

    def _mouth_of(self) -> Callable[[float], float]:
        ahead, windows = SpeechPath(self.generator.hearing), list[Columns]()
        for block in self._sound:
            ahead.push(block)
            if ahead.complete(40.0 * len(windows) + LATE_MS):
                windows.append(ahead.history.window(40.0 * len(windows) + LATE_MS))
        hidden, told = self.generator.hear(np.stack(windows))
        opening = (told + hidden @ self.generator.own)[:, 0]
        opening = np.clip(0.1 + opening - opening.mean(), 0.0, 0.4)
        return lambda media_ms: float(opening[round(media_ms / 40.0)])

    def run(self, seconds: float, *, lost: bool = False) -> None:
        """Let some seconds of the call pass; with `lost` no sound arrives."""
        for _ in range(round(seconds * 50)):
            media_ms = 20.0 * self.at
            if self.at % 2 == 0:
                self.tracker.next = face_at(opening=self._mouth(media_ms)), self.person
                self.requests.offer(VideoFrame(self._image.copy(), media_ms))
            self.speech.push(None if lost else self._sound[self.at])
            self.requests.heard_until(self.speech.head_ms, observe=True)
            self.at += 1


def babble(seconds: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return blocks (n, 960) of noise whose colour changes several times a second."""
    count = round(seconds * 50)
    spectra = np.exp(1.2 * rng.normal(0.0, 1.0, (count // 5 + 2, 12)))
    bands = np.array([np.interp(np.arange(count) / 5.0, np.arange(len(spectra)), band) for band in spectra.T]).T
    noise = np.fft.rfft(rng.normal(0.0, 1.0, (count, 960)))
    band_of = np.minimum(np.arange(noise.shape[1]) // 14, 11)
    shaped = np.fft.irfft(noise * bands[:, band_of], 960)
    return np.clip(800.0 * shaped, -30_000, 30_000).astype(np.int16)


@pytest.fixture
def call() -> Call:
    return Call()


def test_a_caller_is_learned_while_they_are_seen_and_drawn_by_their_own_layer_when_they_are_not(call: Call) -> None:
    call.run(SECONDS - 2.0)
    assert call.synth.learned.seconds > 10.0 and call.synth.learned.used
    assert call.generator.caller is not None
    call.requests.begin(20.0 * call.at)
    call.requests.request(20.0 * call.at, None, 0.0)
    assert call.generator.drawn_by[-1] is call.generator.caller


def test_somebody_else_who_sits_down_gets_the_general_layer(call: Call) -> None:
    call.run(SECONDS - 4.0)
    assert call.generator.caller is not None
    call.person = 2
    call.run(2.0)
    assert call.generator.caller is None and call.synth.learned.seconds < 2.0


def test_concealed_sound_and_frames_that_are_made_teach_nothing(call: Call) -> None:
    call.run(8.0)
    known = call.synth.learned.seconds
    call.run(4.0, lost=True)
    assert call.synth.learned.seconds <= known + 2.5, "what had come whole is learned from a little later"
    known = call.synth.learned.seconds
    call.requests.begin(20.0 * call.at)
    call.run(4.0)
    assert call.synth.learned.seconds == known


def test_another_voice_over_the_picture_has_the_general_layer(call: Call) -> None:
    call.run(SECONDS - 2.0)
    own = call.generator.caller
    assert own is not None
    image, at_ms = draw(face_at()), 20.0 * call.at
    silence = np.repeat(call.generator.hearing.silence, call.generator.hearing.columns, 1)
    for step in range(12):
        call.synth.face.overlay(image, silence, at_ms + 40.0 * step, speech=True)
    assert call.generator.drawn_by[-1] is None
    call.synth.face.stop()
    call.synth.face.start(at_ms + 520.0)
    call.synth.face.render(silence, at_ms + 520.0, speech=True)
    assert call.generator.drawn_by[-1] is own
