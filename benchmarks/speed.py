"""Time the parts of a call, one by one: `python -m benchmarks.speed [--json FILE] [--threads N]`.

All rows come from one run on the bundled caller, so that their ratios hold on any machine; the first call of a part
(cold) stands apart from the median and the 95th percentile of the others (warm). Stock Wav2Lip is built with random
weights, which cost the same as trained ones; its row needs torch (`pip install 'lipline[train]'`).
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from client.doctor.checks import CALLER
from models.catalog import open_generator
from models.facemesh import FaceMesh
from models.generator import FaceImage, Generator, Image
from models.hearing import Columns
from models.mel import SAMPLE_RATE
from models.melstream import StreamingMel
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.media_file import read_audio, read_video

FRAMES = 100

HEARING = "hearing, 40 ms of speech"
DRAWING = "lite"
SYNTHETIC = "synthetic frame, all of it"
RETURNING = "hand-back frame, all of it"
STOCK = "stock Wav2Lip, 96 px"


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part's times in ms.

    Attributes:
        part: what was timed.
        cold_ms: time of the first call.
        median_ms: median of the others.
        p95_ms: 95th percentile of the others.
    """

    part: str
    cold_ms: float
    median_ms: float
    p95_ms: float


def timed(part: str, work: Callable[[int], object], times: int) -> PartRow:
    """Call `work(i)` `times` times and return its row."""
    return timed_in_turn({part: work}, times)[0]


def timed_in_turn(parts: Mapping[str, Callable[[int], object]], times: int) -> list[PartRow]:
    """Call every part's `work(i)` in turn, `times` times: whatever slows the machine down meets all of them alike."""
    spent: dict[str, list[float]] = {part: [] for part in parts}
    for index in range(times):
        for part, work in parts.items():
            began = time.perf_counter()
            work(index)
            spent[part].append((time.perf_counter() - began) * 1000.0)
    return [_row(part, values) for part, values in spent.items()]


def _row(part: str, spent: Sequence[float]) -> PartRow:
    warm = spent[1:]
    return PartRow(part, spent[0], float(np.median(warm)), float(np.percentile(warm, 95)))


def mel_rows() -> Iterator[PartRow]:
    """Time the streaming mel on 20 ms blocks of the caller's speech."""
    speech, stream = read_audio(CALLER, SAMPLE_RATE), StreamingMel()
    block = SAMPLE_RATE // 50
    yield timed(
        "mel, 20 ms of speech", lambda i: stream.push(speech[i * block : (i + 1) * block]), len(speech) // block
    )


def face_rows(images: Sequence[Image]) -> Iterator[PartRow]:
    """Time the face tracker on the caller's frames."""
    with FaceMesh() as mesh:
        yield timed("FaceMesh, 640x480", lambda i: mesh.find(images[i]), len(images))


def some_window(generator: Generator) -> Columns:
    """Return a window of what the generator hears: silence with noise on it."""
    hearing = generator.hearing
    shape = hearing.silence.shape[0], hearing.columns
    return (hearing.silence + np.random.default_rng(0).normal(0.0, 0.3, shape)).astype(np.float32)


def prepare_rows(
    generator: Generator, faces: Sequence[FaceImage], part: str
) -> tuple[PartRow, Callable[[int], object]]:
    """Time preparing past frames, and return what generates a mouth at the frame's own resolution."""
    prepared: list[Any] = []
    row = timed(
        f"{part}: prepare a past frame (once)", lambda i: prepared.append(generator.prepare(faces[i])), len(faces)
    )
    window, references = some_window(generator), prepared[: generator.references_wanted]
    return row, lambda i: generator.generate(window, prepared[i], references)


def hearing_part(generator: Generator) -> Callable[[int], object]:
    """Return what hears the next 40 ms of the caller's speech, those of one picture."""
    speech, stream, block = read_audio(CALLER, SAMPLE_RATE), generator.hearing.stream(), SAMPLE_RATE // 25
    return lambda i: stream.push(speech[i * block : (i + 1) * block])


def synth_parts(
    generator: Generator, images: Sequence[Image]
) -> tuple[dict[str, Callable[[int], object]], list[FaceSynth]]:
    """Return what makes whole synthetic frames (pose path to badge) and what hands back (with tracking)."""
    window, synths = some_window(generator), [FaceSynth(generator, MediaPipeTracker()) for _ in range(2)]
    start_ms, after_ms = len(images) * 40.0, len(images) * 80.0
    for synth in synths:
        for index, image in enumerate(images):
            synth.observe(image, index * 40.0)
        synth.start(start_ms)
    synthetic, returning = synths
    for index in range(len(images)):
        returning.render(window, start_ms + 40.0 * index, speech=True)
    return {
        SYNTHETIC: lambda i: synthetic.render(window, start_ms + 40.0 * i, speech=True),
        RETURNING: lambda i: returning.hand_back(images[i], after_ms + 40.0 * i, (i + 1) / (len(images) + 1)),
    }, synths


def stock_generator(threads: int, folder: Path) -> Generator | None:
    """Return a Wav2Lip generator of the published size with random weights; None without torch."""
    try:
        from models.onnx.contract import WAV2LIP
        from models.onnx.export import export_onnx
        from models.wav2lip.network import Wav2Lip
    except ModuleNotFoundError:
        return None
    out = folder / "wav2lip.onnx"
    export_onnx(Wav2Lip().eval(), WAV2LIP, out)
    return open_generator(out, threads=threads)


def measure(threads: int) -> list[PartRow]:
    """Return every row: what stands for itself, then what is compared, in turn."""
    images = [frame.image for _, frame in zip(range(FRAMES), read_video(CALLER, 25.0), strict=False)]
    lite = open_generator("lite", threads=threads)
    rows = [*mel_rows(), *face_rows(images)]
    with FaceMesh() as mesh:
        faces = [FaceImage(image, found) for image in images if (found := mesh.find(image)) is not None]
    row, draws = prepare_rows(lite, faces, "lite")
    parts, synths = synth_parts(lite, images)
    parts = {HEARING: hearing_part(lite), DRAWING: draws, **parts}
    rows.append(row)
    try:
        with tempfile.TemporaryDirectory() as folder:
            stock = stock_generator(threads, Path(folder))
            if stock is not None:
                row, parts[STOCK] = prepare_rows(stock, faces, STOCK)
                rows.append(row)
            rows += timed_in_turn(parts, len(faces) // 2)
    finally:
        for synth in synths:
            synth.close()
    return rows


def ratios(rows: Sequence[PartRow]) -> list[str]:
    """Return the lines that compare parts with a frame of stock Wav2Lip; none without its row."""
    medians = {row.part: row.median_ms for row in rows}
    if STOCK not in medians:
        return []
    lines = [("hearing and drawing", medians[HEARING] + medians[DRAWING])]
    lines += [(part, medians[part]) for part in (SYNTHETIC, RETURNING)]
    return [f"{name}: {spent / medians[STOCK]:.2f} of stock Wav2Lip's time per frame" for name, spent in lines]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write it as JSON when asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--threads", type=int, default=2, help="threads of one model run")
    args = parser.parse_args(arguments)
    facts = {
        **machine("benchmarks.speed", sys.argv[1:] if arguments is None else arguments),
        "threads": str(args.threads),
    }
    rows = measure(args.threads)
    for name, value in facts.items():
        print(f"{name}: {value}")
    print(f"{'part':40s} {'cold ms':>9s} {'median ms':>10s} {'p95 ms':>8s}")
    for row in rows:
        print(f"{row.part:40s} {row.cold_ms:9.2f} {row.median_ms:10.3f} {row.p95_ms:8.2f}")
    print(*ratios(rows), sep="\n")
    if args.json is not None:
        args.json.write_text(json.dumps({"machine": facts, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
