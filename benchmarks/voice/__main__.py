"""Print how well the mouth rests when nobody speaks: `python -m benchmarks.voice [--json FILE]`.

Opening energy is the mean square of the gate's opening, which scales what the lips follow: the generator's own response
to a mix is left out, so what is weighed is the gate alone.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.voice import sounds
from benchmarks.voice.mixing import Talk, joined, lead, mixed
from models.vad import CHUNK, VoiceDetector
from realtime.media_file import read_audio
from realtime.mel import StreamingMel
from realtime.voice import VoiceGate

_ASSETS = Path(__file__).resolve().parents[2] / "client" / "assets"
_GRID = Path(__file__).resolve().parents[3] / "shared" / "data" / "grid"
_LEAD_S = 3.0
_SHUT = 0.3  # an opening below this is taken for shut: 9 % of the energy
_HOLD_MS = 100.0  # sound that is here after the frame that is asked for


def caller() -> Talk:
    """Return the bundled caller, speech where its phonemes are."""
    samples = lead(read_audio(_ASSETS / "caller.mp4", sounds.RATE), _LEAD_S)
    speech = np.zeros(len(samples) // 200, bool)
    for symbol, start, end in json.loads((_ASSETS / "caller.json").read_text())["phonemes"]:
        if symbol:
            speech[round((start / 1000 + _LEAD_S) * 80) : round((end / 1000 + _LEAD_S) * 80)] = True
    return Talk("caller", samples, joined(speech))


def filmed() -> Talk | None:
    """Return eight clips of GRID's s1, speech where the detector hears it and it is loud; None without the corpus."""
    files = sorted((_GRID / "s1").glob("*.mkv"))[:8]
    if not files:
        return None
    samples = lead(np.concatenate([read_audio(file, sounds.RATE) for file in files]), _LEAD_S)
    chunks = np.repeat(VoiceDetector().push(samples) > 0.5, CHUNK)
    count = len(chunks) // 200
    power = np.square(samples[: count * 200].reshape(count, 200)).mean(axis=1) + 1e-12
    loud = 10 * np.log10(np.convolve(power, np.ones(4) / 4, "same"))
    early = np.roll(chunks[: count * 200 : 200], -2)
    return Talk(
        "GRID s1", samples, joined((early | chunks[: count * 200 : 200]) & (loud > np.percentile(loud, 95) - 24))
    )


def noises(seconds: float) -> Iterator[tuple[str, sounds.Sound]]:
    """Yield what is mixed under speech."""
    yield "white", sounds.white(seconds)
    yield "pink", sounds.pink(seconds)
    yield "music", sounds.music(seconds)
    yield "babble, 8 synthetic", sounds.babble(seconds)
    yield "babble, 3 synthetic", sounds.babble(seconds, 3)
    others = [read_audio(file, sounds.RATE) for file in sorted((_GRID / "others").glob("*.mkv"))]
    if others:
        yield "babble, 8 people", sounds.crowd(others, seconds)


def openings(samples: sounds.Sound) -> tuple[NDArray[np.float64], float]:
    """Return how far the gate opens per 12.5 ms, as frames ask for it in a call, and the ms it took per s of sound."""
    gate, mel = VoiceGate(VoiceDetector()), StreamingMel()
    out: list[float] = []
    began = time.perf_counter()
    for index in range(0, len(samples) - 319, 320):
        block = samples[index : index + 320]
        gate.push(block, mel.push(block))
        head_ms = (index + 320) / 16.0
        while len(out) * 12.5 <= head_ms - _HOLD_MS:
            out.append(gate.opening(len(out) * 12.5))
    spent = (time.perf_counter() - began) * 1000.0
    return np.array(out), spent / (len(samples) / sounds.RATE)


def judged(talk: Talk, samples: sounds.Sound) -> dict[str, float]:
    """Return the figures of one mix."""
    opening, cost = openings(samples)
    count = min(len(opening), len(talk.speech))
    opening, speech, free = opening[:count], talk.speech[:count], talk.free[:count].copy()
    start = free.copy()
    free[: round(_LEAD_S * 80)] = start[round(_LEAD_S * 80) :] = False
    energy = max(float(np.mean(opening[speech] ** 2)), 1e-9)
    shut = []
    for end in talk.ends:
        after = opening[end : end + 40] > _SHUT
        open_until = np.flatnonzero(~after)
        shut.append(float(open_until[0] if open_until.size else 40) * 12.5 / 40.0)
    return {
        "pause_share": float(np.mean(opening[free] ** 2)) / energy,
        "start_share": float(np.mean(opening[start] ** 2)) / energy,
        "speech_shut": float(np.mean(opening[speech] < _SHUT)),
        "frames_to_shut": float(np.median(shut)),
        "frames_to_shut_most": max(shut),
        "cost_ms_per_s": cost,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How well the mouth rests when nobody speaks.")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    path = parser.parse_args().json
    rows = []
    print("speech   under it              dB  pauses first 3 s shut in speech  frames to shut")
    for talk in filter(None, (caller(), filmed())):
        mixes: list[tuple[str, sounds.Sound | None, float]] = [("nothing", None, 0.0)]
        for name, noise in noises(len(talk.samples) / sounds.RATE + 1):
            mixes += [(name, noise, snr) for snr in (0.0, 5.0, 10.0, 20.0)]
        for name, under, snr in mixes:
            row = judged(talk, mixed(talk, under, snr))
            rows.append({"speech": talk.name, "under": name, "snr_db": snr, **row})
            print(
                f"{talk.name:8} {name:20} {snr:3.0f} {row['pause_share']:7.1%} {row['start_share']:9.1%} "
                f"{row['speech_shut']:14.1%} {row['frames_to_shut']:6.1f}, most {row['frames_to_shut_most']:.1f}"
            )
    print(f"{np.median([row['cost_ms_per_s'] for row in rows]):.1f} ms for a second of sound")
    if path is not None:
        path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
