"""Calls in rooms with other people, noise or music: the caller's own track and everything else, made by chance."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from models.mel import SAMPLE_RATE
from train.data.sounds import Rng, Sound, coloured, echoing, equalised, music, scaled
from train.near.config import MixesConfig
from train.near.voices import Speaker

_OTHERS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
_OFTEN: Final = (0.07, 0.09, 0.15, 0.09, 0.08, 0.11, 0.1, 0.17, 0.08, 0.06)
_LEAST_DB: Final = {1: 10.0, 2: 6.0, 3: 1.0, 4: 0.0}
"""How far few others are below the caller at least: louder ones cannot be told from who is meant."""


class Mix(NamedTuple):
    """The caller alone and all the rest, (n,) float32 at 16 kHz each; their sum is what is heard."""

    caller: Sound
    rest: Sound


class Mixer:
    """Make mixes. Not thread-safe."""

    def __init__(self, speakers: Sequence[Speaker], config: MixesConfig, seed: int) -> None:
        """Draw from `speakers`, at least one."""
        self._speakers, self._config = speakers, config
        self._rng = np.random.default_rng(seed)
        weights = np.array([speaker.weight for speaker in speakers])
        self._weights = weights / weights.sum()
        self._count = round(config.seconds * SAMPLE_RATE)

    def mix(self) -> Mix:
        """Return another mix."""
        rng, count = self._rng, self._count
        caller = np.zeros(count, np.float32) if rng.random() < self._config.nobody else self._caller()
        rest, below_db = self._rest()
        if rng.random() < 0.25:  # it begins later, or ends
            edge = round(rng.uniform(0.0, 0.7) * count)
            rest = rest.copy()
            rest[slice(0, edge) if rng.random() < 0.5 else slice(edge, None)] = 0.0
        level = 10.0 ** (rng.uniform(-34.0, -12.0) / 20.0)
        if rng.random() < 0.5:
            caller = equalised(caller, rng)
        hiss = level * 10.0 ** (-rng.uniform(35.0, 70.0) / 20.0) * rng.standard_normal(count)
        rest = rest * level * 10.0 ** (-below_db / 20.0) + hiss
        return Mix(np.asarray(caller * level, np.float32), np.asarray(rest, np.float32))

    def _caller(self) -> Sound:
        """Return one voice that says something, pauses, and goes on; RMS of what is said about 1."""
        rng = self._rng
        speaker, pitch = self._draw()
        out = np.zeros(self._count, np.float32)
        at = 0 if rng.random() < 0.3 else round(rng.uniform(0.0, 5.0) * SAMPLE_RATE)
        slow = rng.random() < 0.4
        while at < self._count:
            said = scaled(self._said(speaker, pitch)) * np.float32(10.0 ** (rng.normal(0.0, 2.0) / 20.0))
            if rng.random() < 0.25:
                said = _short(said, rng)
            room = min(said.size, self._count - at)
            out[at : at + room] += said[:room]
            at += said.size + round((rng.uniform(0.8, 4.0) if slow else rng.uniform(0.25, 1.2)) * SAMPLE_RATE)
        # A microphone on the table hears some of the room too.
        return echoing(out, rng, 0.35) if rng.random() < 0.3 else out

    def _rest(self) -> tuple[Sound, float]:
        """Return what is under the caller, RMS 1 or silence, and how far below they are louder, dB."""
        rng, config, count = self._rng, self._config, self._count
        kind = rng.random()
        if kind < config.clean:
            return np.zeros(count, np.float32), 60.0
        if kind < config.clean + config.noise:
            return coloured(count, rng), rng.uniform(0.0, 25.0)
        if kind < config.clean + config.noise + config.music:
            return music(count, rng), rng.uniform(-2.0, 25.0)
        others, spread = int(rng.choice(_OTHERS, p=_OFTEN)), float(rng.choice([0.0, 3.0]))
        total = np.zeros(count, np.float32)
        for _ in range(others):
            total += self._other() * np.float32(10.0 ** (rng.normal(0.0, spread) / 20.0))
        if rng.random() < config.echo:
            total = echoing(total, rng)
        if rng.random() < 0.15:
            total = scaled(total) + coloured(count, rng) * np.float32(10.0 ** (-rng.uniform(0.0, 15.0) / 20.0))
        if rng.random() < 0.5:
            total = equalised(total, rng)
        return scaled(total), rng.uniform(_LEAST_DB.get(others, -2.0), 25.0)

    def _other(self) -> Sound:
        """Return one voice that talks all the time, RMS 1."""
        speaker, pitch = self._draw()
        parts, size = list[Sound](), 0
        while size < self._count:
            parts += [
                scaled(self._said(speaker, pitch)),
                np.zeros(int(self._rng.exponential(0.12) * SAMPLE_RATE), np.float32),
            ]
            size += parts[-1].size + parts[-2].size
        begin = int(self._rng.integers(0, size - self._count + 1))
        return np.concatenate(parts)[begin : begin + self._count]

    def _draw(self) -> tuple[Speaker, float]:
        """Return a speaker, and the factor by which all that they say is faster and higher: another person's voice."""
        speaker = self._speakers[int(self._rng.choice(len(self._speakers), p=self._weights))]
        return speaker, float(np.exp(self._rng.uniform(-0.18, 0.2)))

    def _said(self, speaker: Speaker, pitch: float) -> Sound:
        sound = speaker.said[int(self._rng.integers(len(speaker.said)))]
        places = np.arange(0.0, sound.size - 1, pitch)
        return np.asarray(np.interp(places, np.arange(sound.size), sound), dtype=np.float32)


def _short(said: Sound, rng: Rng) -> Sound:
    """Return a piece of 0.4 to 1.2 s, faded in and out: a word thrown in."""
    size = min(round(rng.uniform(0.4, 1.2) * SAMPLE_RATE), said.size)
    begin = int(rng.integers(0, said.size - size + 1))
    piece, fade = said[begin : begin + size].copy(), min(400, size // 4)
    piece[:fade] *= np.linspace(0.0, 1.0, fade, dtype=np.float32)
    piece[size - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return piece
