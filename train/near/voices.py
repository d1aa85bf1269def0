"""Whose speech is mixed: speakers of shards, and synthetic voices."""

import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from models.mel import SAMPLE_RATE
from train.config import DataConfig
from train.data.shards import ShardError, read_members, sample_info, shard_paths
from train.data.sounds import Sound
from train.head.rendered import SENTENCES
from train.head.speech import SpeechVoice, speak
from train.near.config import VoicesConfig

# None of the voices that benchmarks.voice and the bundled caller speak with.
_KINDS: Final = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "antonio", "belinda", "benjamin", "boris", "caleb", "david", "Denis",
    "Diogo", "ed", "edward", "Gene", "gustave", "Henrique", "Hugo", "iven", "Jacky", "john", "kaukovalta", "Lee",
    "linda", "marcelo", "Marco", "Mario", "max", "Michael", "miguel", "Mike", "pablo", "paul", "pedro", "quincy", "rob",
    "robert", "steph", "Storm", "travis", "victor", "zac", "anika", "grandpa", "grandma", "norbert", "sandro", "shelby",
    "f5", "m4", "m6", "m8", "aunty",
)  # fmt: skip
_TONGUES: Final = (
    "de", "fr", "es", "it", "pl", "nl", "sv", "pt", "en-gb-scotland", "ro", "hu", "cs", "fi", "tr"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Speaker:
    """What one speaker said: sounds (n,) float32 at 16 kHz without silence around; how likely they are drawn."""

    name: str
    said: tuple[Sound, ...]
    weight: float = 1.0


def synthetic(config: VoicesConfig, seed: int) -> list[Speaker]:
    """Return espeak-ng's voices, each with its own pace, pitch and sentences.

    Raises:
        SpeechUnavailableError: espeak-ng is not installed.
    """
    rng = np.random.default_rng((seed, 1))
    speakers = []
    for index in range(config.synthetic):
        tongue = ("en", "en-us", _TONGUES[index % len(_TONGUES)])[index % 3]
        name = f"{tongue}+{_KINDS[index % len(_KINDS)]}"
        pace, pitch, span = (int(rng.integers(*limits)) for limits in ((135, 205), (20, 80), (40, 80)))
        texts = rng.choice(len(SENTENCES), config.sentences)
        said = [speak(SENTENCES[text], SpeechVoice(name, pace, pitch, span), SAMPLE_RATE).samples for text in texts]
        speakers.append(Speaker(name, tuple(trimmed(sound) for sound in said)))
    return speakers


def filmed(shards: Sequence[Path], data: DataConfig, weight: float) -> list[Speaker]:
    """Return the speakers of shards in the role "train"; their pictures are not decoded.

    Raises:
        ShardError: there are no shards, none with such clips, or a damaged one.
    """
    said: dict[str, list[Sound]] = {}
    for path in shard_paths(shards):
        for key, members in read_members(path, ("json", "wav")):
            info = sample_info(key, members)
            chosen = not data.speakers or info.speaker in data.speakers
            if chosen and data.split.role(info.speaker, info.source) == "train":
                said.setdefault(info.speaker, []).append(trimmed(_decoded(key, members)))
    if not said:
        raise ShardError("no clips for train: prepare more videos or change the split")
    return [Speaker(name, tuple(sounds), weight) for name, sounds in said.items()]


def _decoded(key: str, members: Mapping[str, bytes]) -> Sound:
    try:
        with wave.open(io.BytesIO(members["wav"])) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768.0
    except (KeyError, EOFError, wave.Error) as error:
        raise ShardError(f"the sample {key} is damaged ({error}): prepare its corpus again") from error


def trimmed(sound: Sound) -> Sound:
    """Return a sound without what is 40 dB below its peak at either end, 25 ms left."""
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max(initial=1e-6))
    if not loud.size:
        return sound
    return np.asarray(sound[max(int(loud[0]) - 400, 0) : int(loud[-1]) + 400], np.float32)
