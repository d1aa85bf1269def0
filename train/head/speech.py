"""Speech with known phonemes, made by Debian's espeak-ng through its C interface.

The library is loaded when speech is asked for, never before: rendering and the tests run without it. espeak-ng is
GPL-3.0; it is used as an installed program's library and nothing of it is bundled.
Source of the interface: espeak-ng's `speak_lib.h`, API revision 12.
"""

import ctypes
import ctypes.util
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

_RETRIEVAL: Final = 1
_PHONEME_EVENTS_IPA: Final = 0x0001 | 0x0002
_DONT_EXIT: Final = 0x8000
_UTF8_SSML_ENDPAUSE: Final = 1 | 0x10 | 0x1000
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
MISSING = "speech needs libespeak-ng: run `apt-get install espeak-ng`"


class SpeechUnavailableError(RuntimeError):
    """Say that espeak-ng is not installed, or does not know a voice."""


class Phoneme(NamedTuple):
    """One phoneme: IPA symbol ("" is a pause), first and last instant in ms of the audio."""

    symbol: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Spoken text.

    Attributes:
        samples: float32 (n,) mono, -1..1.
        rate: samples per second.
        phonemes: what is said when, without holes, from 0 to the end of the audio.
    """

    samples: NDArray[np.float32]
    rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_ms(self) -> float:
        """Length of the audio in ms."""
        return 1000.0 * len(self.samples) / self.rate

    def resampled(self, rate: int) -> "SpokenText":
        """Return the same speech at another sample rate."""
        if rate == self.rate:
            return self
        samples = np.asarray(soxr.resample(self.samples, self.rate, rate), np.float32)
        return SpokenText(samples, rate, self.phonemes)

    def delayed(self, ms: float) -> "SpokenText":
        """Return the same speech after `ms` of silence."""
        count = round(ms * self.rate / 1000.0)
        shift = 1000.0 * count / self.rate
        moved = [Phoneme(p.symbol, p.start_ms + shift, p.end_ms + shift) for p in self.phonemes]
        if moved and not moved[0].symbol:
            moved[0] = moved[0]._replace(start_ms=0.0)
        elif count:
            moved.insert(0, Phoneme("", 0.0, shift))
        return SpokenText(np.concatenate([np.zeros(count, np.float32), self.samples]), self.rate, tuple(moved))


@dataclass(frozen=True, slots=True)
class SpeechVoice:
    """Choose a voice: `name` as espeak-ng has it ("en", "en-us", "de", "fr+f3"); pitch and its range are 0..100."""

    name: str = "en"
    words_per_minute: int = 160
    pitch: int = 45
    pitch_range: int = 55


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Engine:
    """Own the one espeak-ng of this process (the library keeps its state in globals)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.library = load_library()
        self.rate = int(self.library.espeak_Initialize(_RETRIEVAL, 200, None, _PHONEME_EVENTS_IPA | _DONT_EXIT))
        if self.rate <= 0:
            raise SpeechUnavailableError(f"espeak-ng found no voice data; {MISSING}")
        self._chunks: list[NDArray[np.int16]] = []
        self._marks: list[tuple[int, str]] = []
        # The library keeps the pointer: the object must live as long as it does.
        self._callback = _Callback(self._receive)
        self.library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wav: Any, count: int, events: Any) -> int:
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                self._marks.append(
                    (int(event.sample), bytes(event.id.string).split(b"\0")[0].decode("utf-8", "ignore"))
                )
            index += 1
        if wav and count > 0:
            self._chunks.append(np.ctypeslib.as_array(wav, (count,)).copy())
        return 0

    def speak(self, text: str, voice: SpeechVoice) -> tuple[NDArray[np.int16], list[tuple[int, str]]]:
        """Return samples and (first sample, symbol) of every phoneme."""
        with self.lock:
            self._chunks, self._marks = [], []
            if self.library.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise SpeechUnavailableError(
                    f"espeak-ng has no voice {voice.name!r}; `espeak-ng --voices` lists those it has"
                )
            for parameter, value in (
                (_RATE, voice.words_per_minute),
                (_PITCH, voice.pitch),
                (_RANGE, voice.pitch_range),
            ):
                self.library.espeak_SetParameter(parameter, value, 0)
            data = text.encode()
            self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8_SSML_ENDPAUSE, None, None)
            self.library.espeak_Synchronize()
            if not self._chunks:
                raise SpeechUnavailableError("espeak-ng made no sound for this text")
            return np.concatenate(self._chunks), self._marks


def load_library() -> Any:
    """Return espeak-ng with the signatures of its functions.

    Raises:
        SpeechUnavailableError: it is not installed.
    """
    for name in (ctypes.util.find_library("espeak-ng"), "libespeak-ng.so.1"):
        try:
            if name:
                library = ctypes.CDLL(name)
                break
        except OSError:
            continue
    else:
        raise SpeechUnavailableError(MISSING)
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    return library


@lru_cache(maxsize=1)
def _engine() -> _Engine:
    return _Engine()


def available() -> bool:
    """Return whether espeak-ng can be used on this machine."""
    try:
        _engine()
    except SpeechUnavailableError:
        return False
    return True


def speak(text: str, voice: SpeechVoice | None = None, rate: int = 16_000) -> SpokenText:
    """Speak a text.

    Args:
        text: plain text; SSML tags such as `<break time="900ms"/>` are obeyed.
        voice: who speaks and how.
        rate: samples per second of the result (espeak-ng's own 22,050 is resampled).

    Returns:
        The speech, with its phonemes.

    Raises:
        SpeechUnavailableError: espeak-ng is not installed, has no such voice or nothing to say.
    """
    engine = _engine()
    raw, marks = engine.speak(text, voice or SpeechVoice())
    samples = raw.astype(np.float32) / 32768.0
    return SpokenText(samples, engine.rate, _track(marks, len(samples), engine.rate)).resampled(rate)


def _track(marks: list[tuple[int, str]], count: int, rate: int) -> tuple[Phoneme, ...]:
    """Turn the starts of phonemes into intervals without holes."""
    known = [(min(sample, count), _clean(symbol)) for sample, symbol in marks if not symbol.startswith("(")]
    starts = [(0, ""), *known, (count, "")]
    track: list[Phoneme] = []
    for (start, symbol), (end, _) in zip(starts, starts[1:], strict=False):
        if end <= start:
            continue
        begin, stop = 1000.0 * start / rate, 1000.0 * end / rate
        if track and not symbol and not track[-1].symbol:
            track[-1] = track[-1]._replace(end_ms=stop)
        else:
            track.append(Phoneme(symbol, begin, stop))
    return tuple(track)


def _clean(symbol: str) -> str:
    """Drop stress marks, ties and pause signs."""
    return "".join(letter for letter in symbol if letter not in "ˈˌ_:|%,'‿̩͡ ")
