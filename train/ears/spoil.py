"""What happens to speech between a mouth and the ears: another voice, a room, noise, a microphone, a codec, a bad link.

Everything is a function of a sound and a random generator; the speech keeps its place in time.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from models.mel import SAMPLE_RATE
from train.data.sounds import Rng, Sound, coloured, echoing, equalised, music, scaled
from train.ears.config import SpoiltConfig

_PACKET: Final = SAMPLE_RATE // 50
_CODEC_DELAY: Final = 104  # Opus' lookahead, 6.5 ms (RFC 6716, 2.1.7 and 4)
_LEVEL_DB: Final = -26.0


def revoiced(sound: Sound, factor: float) -> Sound:
    """Return `sound` played `factor` times as fast: pitch, formants and tempo change together. Band-limited."""
    count = round(sound.size / factor)
    spectrum = np.fft.rfft(sound)
    kept = np.zeros(count // 2 + 1, dtype=spectrum.dtype)
    shared = min(kept.size, spectrum.size)
    kept[:shared] = spectrum[:shared]
    return np.asarray(np.fft.irfft(kept, count) * (count / sound.size), np.float32)


def levelled(sound: Sound, level_db: float = _LEVEL_DB) -> Sound:
    """Return `sound` at an RMS of `level_db` of full scale."""
    return np.asarray(scaled(sound) * 10.0 ** (level_db / 20.0), np.float32)


def spoilt(sound: Sound, others: Sequence[Sound], config: SpoiltConfig, rng: Rng) -> Sound:
    """Return `sound` as it may reach the ears, (n,) like it; `others` are what may be said beside it."""
    heard = sound
    if rng.random() < config.room:
        heard = echoing(heard, rng, float(rng.uniform(0.2, 1.0)))
    if rng.random() < config.noise:
        ratio_db = rng.uniform(*config.snr_db)
        below = 10.0 ** (-ratio_db / 20.0) * np.sqrt(np.mean(np.square(heard)))
        heard = heard + np.float32(below) * _noise(heard.size, others, rng)
    if rng.random() < config.microphone:
        heard = equalised(heard, rng)
    heard = levelled(heard, _LEVEL_DB + float(rng.uniform(-config.gain_db, config.gain_db)))
    if rng.random() < config.codec:
        heard = coded(heard, int(rng.integers(12, 25)) * 1000, float(rng.uniform(0.0, config.lost)), rng)
    return np.asarray(heard, np.float32)


def coded(sound: Sound, bits_per_s: int, lost: float, rng: Rng) -> Sound:
    """Return `sound` through Opus with a share `lost` of its 20 ms packets lost, concealed as its decoder does.

    Without libopus on the machine the sound comes back as it was.
    """
    try:
        import opuslib_next as opus
    except Exception:  # the package raises a plain Exception where the library is missing
        return sound
    encoder: Any = opus.Encoder(SAMPLE_RATE, 1, opus.APPLICATION_VOIP)
    encoder.bitrate = bits_per_s
    decoder: Any = opus.Decoder(SAMPLE_RATE, 1)
    padded = np.pad(sound, (0, _CODEC_DELAY + -(sound.size + _CODEC_DELAY) % _PACKET))
    # libopus takes an empty packet for a lost one.
    blocks = np.clip(padded * 32767.0, -32768, 32767).astype(np.int16).reshape(-1, _PACKET)
    out, gone = [], False
    for block in blocks:
        packet = encoder.encode(block.tobytes(), _PACKET)
        # Losses come in bursts: half of what follows a lost packet is lost too.
        gone = rng.random() < (0.5 if gone else lost)
        out.append(np.frombuffer(decoder.decode(b"" if gone else packet, _PACKET), np.int16))
    heard = np.concatenate(out)[_CODEC_DELAY : _CODEC_DELAY + sound.size]
    return heard.astype(np.float32) / np.float32(32768.0)


def _noise(count: int, others: Sequence[Sound], rng: Rng) -> Sound:
    """Return noise, music, or one to eight other voices, at RMS 1."""
    kind = rng.random()
    if kind < 0.45 or not others:
        return coloured(count, rng)
    if kind < 0.6:
        return music(count, rng)
    total = np.zeros(count, np.float32)
    for _ in range(int(rng.choice([1, 2, 4, 8]))):
        voice = scaled(others[int(rng.integers(len(others)))])
        total += np.resize(np.roll(voice, int(rng.integers(voice.size))), count)
    return scaled(total)
