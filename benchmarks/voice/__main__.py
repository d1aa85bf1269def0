"""Print how well the mouth rests when nobody speaks: `python -m benchmarks.voice [--mouth] [--data DIR] [--json FILE]`.

Opening energy is the mean square of the gate's opening, which scales what the lips follow: the generator's own response
to a mix is left out, so what is weighed is the gate alone. With `--mouth` it is that of the generated lips.
The bundled caller speaks; with `--data` a speaker of GRID, too, and others of it babble (docs/design/data.md says where
it is to be had).
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.voice import sounds
from benchmarks.voice.mix import Talk, joined, lead, mixed
from benchmarks.voice.mouth import MixedMouth, energies
from client.doctor.checks import CALLER
from models.melstream import StreamingMel
from models.near.onnx import NearVoice
from models.vad import CHUNK, VoiceDetector
from realtime.media_file import read_audio
from realtime.speech.voice import VoiceGate

_LEAD_S = 3.0
_SHUT = 0.3  # an opening below this is taken for shut: 9 % of the energy
_HOLD_MS = 100.0  # sound that is here after the frame that is asked for
_LONG_ENOUGH = 20_000  # bytes of a recording that is more than a word
SNRS = (0.0, 5.0, 10.0, 20.0)


def caller() -> Talk:
    """Return the bundled caller, speech where its phonemes are."""
    samples = lead(read_audio(CALLER, sounds.RATE), _LEAD_S)
    speech = np.zeros(len(samples) // 200, bool)
    for symbol, start, end in json.loads(CALLER.with_suffix(".json").read_text())["phonemes"]:
        if symbol:
            speech[round((start / 1000 + _LEAD_S) * 80) : round((end / 1000 + _LEAD_S) * 80)] = True
    return Talk("caller", samples, joined(speech))


def filmed(data: Path | None) -> Talk | None:
    """Return eight clips of the speaker in `data`/grid/s1; None where there are none."""
    files = sorted((data / "grid" / "s1").glob("*.mkv"))[:8] if data else []
    return heard("GRID s1", np.concatenate([read_audio(file, sounds.RATE) for file in files])) if files else None


def recorded(folder: Path) -> Talk:
    """Return about 20 s of one speaker's recordings, pauses of 0.4 to 1.8 s between them.

    Raises:
        MediaError: a file holds no sound.
    """
    random, parts, size = np.random.default_rng(0), list[sounds.Sound](), 0
    for file in sorted(path for path in folder.rglob("*") if path.stat().st_size > _LONG_ENOUGH and path.is_file()):
        pause = np.zeros(round(random.uniform(0.4, 1.8) * sounds.RATE), np.float32)
        parts += [0.05 * sounds.scaled(read_audio(file, sounds.RATE)), pause]
        size += parts[-2].size + pause.size
        if size > 20 * sounds.RATE:
            break
    return heard(folder.name, np.concatenate(parts))


def heard(name: str, samples: sounds.Sound) -> Talk:
    """Return clean speech as a talk: there is speech where the detector hears it and it is loud."""
    samples = lead(samples, _LEAD_S)
    chunks = np.repeat(VoiceDetector().push(samples) > 0.5, CHUNK)
    count = len(chunks) // 200
    power = np.square(samples[: count * 200].reshape(count, 200)).mean(axis=1) + 1e-12
    loud = 10 * np.log10(np.convolve(power, np.ones(4) / 4, "same"))
    early = np.roll(chunks[: count * 200 : 200], -2)
    return Talk(name, samples, joined((early | chunks[: count * 200 : 200]) & (loud > np.percentile(loud, 95) - 24)))


def noises(seconds: float, data: Path | None) -> Iterator[tuple[str, sounds.Sound]]:
    """Yield what is mixed under speech; babble of people where `data`/grid/others holds some."""
    yield "white", sounds.white(seconds)
    yield "pink", sounds.pink(seconds)
    yield "music", sounds.music(seconds)
    yield "babble, 8 synthetic", sounds.babble(seconds)
    yield "babble, 3 synthetic", sounds.babble(seconds, 3)
    files = sorted((data / "grid" / "others").glob("*.mkv")) if data else []
    if files:
        others = [read_audio(file, sounds.RATE) for file in files]
        yield "babble, 8 people", sounds.crowd(others, seconds)


def openings(samples: sounds.Sound) -> tuple[NDArray[np.float64], float]:
    """Return how far the gate opens per 12.5 ms, as frames ask for it in a call, and the ms it took per s of sound."""
    gate, mel = VoiceGate(VoiceDetector(), NearVoice()), StreamingMel()
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


def gates(talk: Talk, data: Path | None) -> Iterator[dict[str, str | float]]:
    """Print and yield the figures of the gate alone, mix by mix."""
    for name, under, snr in mixes(talk, data):
        row = judged(talk, mixed(talk, under, snr))
        print(
            f"{talk.name[:8]:8} {name:20} {snr:3.0f} {row['pause_share']:7.1%} {row['start_share']:9.1%} "
            f"{row['speech_shut']:14.1%} {row['frames_to_shut']:6.1f}, most {row['frames_to_shut_most']:.1f}",
            flush=True,
        )
        yield {"speech": talk.name, "under": name, "snr_db": snr, **row}


def lips(talk: Talk, mouth: MixedMouth, data: Path | None) -> Iterator[dict[str, str | float]]:
    """Print and yield the figures of the generated lips, mix by mix; white and pink noise are left out."""
    clean = float("nan")
    for name, under, snr in mixes(talk, data):
        if name in ("white", "pink"):
            continue
        pause, speech = energies(talk, mouth.openings(mixed(talk, under, snr)), _LEAD_S)
        clean = speech if under is None else clean
        row = {"pause_share": pause / max(speech, 1e-9), "of_clean": pause / clean, "speech_of_clean": speech / clean}
        print(
            f"{talk.name[:8]:8} {name:20} {snr:3.0f} {row['pause_share']:7.1%} {row['of_clean']:9.1%} "
            f"{row['speech_of_clean']:9.1%}",
            flush=True,
        )
        yield {"speech": talk.name, "under": name, "snr_db": snr, **row}


def mixes(talk: Talk, data: Path | None) -> Iterator[tuple[str, sounds.Sound | None, float]]:
    """Yield name, sound and dB of what is mixed under a talk, nothing first."""
    yield "nothing", None, 0.0
    for name, noise in noises(len(talk.samples) / sounds.RATE + 1, data):
        for snr in SNRS:
            yield name, noise, snr


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How well the mouth rests when nobody speaks.")
    parser.add_argument("--mouth", action="store_true", help="measure the generated lips, not the gate (3 minutes)")
    parser.add_argument(
        "--callers", type=Path, nargs="+", metavar="DIR", help="measure these speakers: folders of recordings, one each"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with clips in grid/s1 and grid/others")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    known = [recorded(folder) for folder in args.callers] if args.callers else [caller(), filmed(args.data)]
    talks = [talk for talk in known if talk is not None]
    rows: list[dict[str, str | float]] = []
    if args.mouth:
        print("speech   under it              dB  pauses  of clean  speech of clean")
        mouth = MixedMouth(CALLER)
        for talk in talks:
            rows += lips(talk, mouth, args.data)
        mouth.close()
    else:
        print("speech   under it              dB  pauses first 3 s shut in speech  frames to shut")
        for talk in talks:
            rows += gates(talk, args.data)
        print(f"{np.median([float(row['cost_ms_per_s']) for row in rows]):.1f} ms for a second of sound")
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
