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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from client.doctor.checks import CALLER
from models.alignment import SILENCE
from models.catalog import open_generator
from models.facemesh import FaceMesh
from models.generator import FaceImage, Generator, Image
from models.mel import SAMPLE_RATE
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.media_file import read_audio, read_video
from realtime.speech.mel import StreamingMel

FRAMES = 100


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
    spent = []
    for index in range(times):
        began = time.perf_counter()
        work(index)
        spent.append((time.perf_counter() - began) * 1000.0)
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


def generator_rows(generator: Generator, images: Sequence[Image], part: str) -> Iterator[PartRow]:
    """Time preparing a past frame and generating a mouth at the frame's own resolution."""
    with FaceMesh() as mesh:
        faces = [FaceImage(image, found) for image in images if (found := mesh.find(image)) is not None]
    prepared: list[Any] = []
    yield timed(
        f"{part}: prepare a past frame (once)", lambda i: prepared.append(generator.prepare(faces[i])), len(faces)
    )
    mel = np.random.default_rng(0).uniform(SILENCE, 2.0, (80, generator.window.columns)).astype(np.float32)
    references = prepared[: generator.references_wanted]
    yield timed(part, lambda i: generator.generate(mel, prepared[i], references), len(prepared))


def synth_rows(generator: Generator, images: Sequence[Image]) -> Iterator[PartRow]:
    """Time whole synthetic frames: pose path, generator, compositing, badge; and the hand-back with its tracking."""
    synth = FaceSynth(generator, MediaPipeTracker())
    try:
        for index, image in enumerate(images):
            synth.observe(image, index * 40.0)
        start_ms = len(images) * 40.0
        synth.start(start_ms)
        mel = np.random.default_rng(0).uniform(SILENCE, 2.0, (80, generator.window.columns)).astype(np.float32)
        yield timed(
            "synthetic frame, all of it", lambda i: synth.render(mel, start_ms + 40.0 * i, speech=True), len(images)
        )
        after_ms = start_ms + 40.0 * len(images)
        yield timed(
            "hand-back frame, all of it",
            lambda i: synth.hand_back(images[i], after_ms + 40.0 * i, (i + 1) / (len(images) + 1)),
            len(images) // 2,
        )
    finally:
        synth.close()


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
    """Return every row, in the order of a call."""
    images = [frame.image for _, frame in zip(range(FRAMES), read_video(CALLER, 25.0), strict=False)]
    lite = open_generator("lite", threads=threads)
    rows = [*mel_rows(), *face_rows(images), *generator_rows(lite, images, "lite"), *synth_rows(lite, images)]
    with tempfile.TemporaryDirectory() as folder:
        stock = stock_generator(threads, Path(folder))
        if stock is not None:
            rows += generator_rows(stock, images[:40], "stock Wav2Lip, 96 px")
    return rows


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
    medians = {row.part: row.median_ms for row in rows}
    if "stock Wav2Lip, 96 px" in medians:
        print(f"lite takes {medians['lite'] / medians['stock Wav2Lip, 96 px']:.2f} of stock Wav2Lip's time per frame")
    if args.json is not None:
        args.json.write_text(json.dumps({"machine": facts, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
