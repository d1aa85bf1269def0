"""The doctor's checks: each yields (name, fine, what was found, remedy) and finds out by using the thing."""

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

Finding = tuple[str, bool, str, str]

CALLER = Path(__file__).parents[1] / "assets" / "caller.mp4"
WEIGHTS = Path(__file__).parents[2] / "models" / "weights"
DEFAULT_PORT = 8765
MIN_FACE_SHARE = 0.9
CHECKED_FRAMES = 10
RESTORE = "git checkout -- {0}, or reinstall lipline"


def python_version() -> Iterator[Finding]:
    """Check the interpreter against the releases that lipline supports."""
    fine = sys.version_info[:2] in ((3, 11), (3, 12), (3, 13))
    found = ".".join(map(str, sys.version_info[:3]))
    yield "python", fine, found, "install Python 3.11, 3.12 or 3.13, then: make clean setup PYTHON=/path/to/python3.12"


def packages() -> Iterator[Finding]:
    """Check every pinned package that a call needs, and that only one flavour of ONNX Runtime is there."""
    for name, wanted in _pins():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, False, "missing", f"pip install '{name}{wanted}'"
            continue
        yield name, _satisfies(found, wanted), f"{found} ({wanted})", f"pip install '{name}{wanted}'"
    flavours = sorted(
        {name.lower() for d in metadata.distributions() if (name := d.name) and name.lower().startswith("onnxruntime")}
    )
    if not flavours:
        yield "onnxruntime", False, "missing", "pip install 'lipline[cpu]' (or 'lipline[gpu]' with an NVIDIA card)"
    elif len(flavours) > 1:
        remedy = f"pip uninstall -y {' '.join(flavours)} && pip install 'lipline[cpu]'  (or [gpu])"
        yield "onnxruntime", False, f"{' and '.join(flavours)} overwrite each other", remedy


def inference() -> Iterator[Finding]:
    """List the providers and run a bundled network once on each that can be used."""
    import onnxruntime

    known = [p for p in onnxruntime.get_available_providers() if p != "AzureExecutionProvider"]
    found = f"onnxruntime {onnxruntime.__version__}: {', '.join(known)}"
    yield "providers", bool(known), found, "pip install 'lipline[cpu]'"
    files = sorted(WEIGHTS.glob("*.onnx"))
    if not files:
        yield "bundled model", False, "no ONNX file in models/weights", RESTORE.format("models/weights")
        return
    for provider in known:
        yield _try_provider(provider, files[0])


def _try_provider(provider: str, model: Path) -> Finding:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=[provider])
    name = f"model on {provider.removesuffix('ExecutionProvider')}"
    # A provider that cannot start falls back to the CPU with no more than a log line.
    if (used := session.get_providers()[0]) != provider:
        return (
            name,
            False,
            f"fell back to {used}",
            "install the driver that this onnxruntime-gpu wants, or use 'lipline[cpu]'",
        )
    feed = {
        entry.name: np.zeros([d if isinstance(d, int) else 1 for d in entry.shape], np.float32)
        for entry in session.get_inputs()
    }
    started = time.perf_counter()
    finite = all(np.isfinite(output).all() for output in session.run(None, feed))
    took = (time.perf_counter() - started) * 1000.0
    return name, finite, f"{model.name} answers in {took:.0f} ms (first run)", RESTORE.format("models/weights")


def face_mesh() -> Iterator[Finding]:
    """Look for the bundled caller's face with the tracker that calls use."""
    import av
    import numpy as np

    from models.facemesh import FaceMesh

    if not CALLER.exists():
        yield "face tracking", False, "the bundled clip is missing", RESTORE.format("client/assets")
        return
    with av.open(str(CALLER)) as container, FaceMesh() as mesh:
        frames = container.decode(video=0)
        images = [
            np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            for frame, _ in zip(frames, range(CHECKED_FRAMES), strict=False)
        ]
        started = time.perf_counter()
        found = sum(mesh.find(image) is not None for image in images)
        took = (time.perf_counter() - started) * 1000.0 / max(len(images), 1)
    detail = f"the bundled face was found in {found} of {len(images)} frames, {took:.0f} ms each"
    yield "face tracking", found >= MIN_FACE_SHARE * CHECKED_FRAMES, detail, RESTORE.format("models/weights")


def encoders() -> Iterator[Finding]:
    """Ask PyAV for the encoders that a call and its recordings use."""
    import av

    missing = [name for name in ("libx264", "libvpx", "libopus", "aac") if not _has_encoder(name)]
    detail = f"PyAV {av.__version__} lacks {', '.join(missing)}" if missing else "H.264, VP8, Opus, AAC in PyAV"
    yield "encoders", not missing, detail, "pip install --force-reinstall --only-binary av 'av>=18,<19'"


def speech_codec() -> Iterator[Finding]:
    """See whether lost speech can be brought back from the next packet (in-band FEC)."""
    from realtime.rtc.send.opus import OpusDecoder

    fine = OpusDecoder().has_fec
    yield "libopus", fine, "Opus with FEC" if fine else "missing: lost speech stays lost", "sudo apt install libopus0"


def sockets() -> Iterator[Finding]:
    """Send one datagram over loopback: what WebRTC needs at the least."""
    datagram = (socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(*datagram) as receiver, socket.socket(*datagram) as sender:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(1.0)
        sender.sendto(b"lipline", receiver.getsockname())
        try:
            fine = receiver.recv(16) == b"lipline"
        except TimeoutError:
            fine = False
    yield (
        "loopback UDP",
        fine,
        "a datagram came through" if fine else "blocked",
        "allow UDP on 127.0.0.1 in the firewall",
    )


def default_port() -> Iterator[Finding]:
    """See whether the port that `lipline serve` takes is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
            fine = True
        except OSError:
            fine = False
    yield f"port {DEFAULT_PORT}", fine, "free" if fine else "in use", f"lipline serve --port {DEFAULT_PORT + 1}"


def torch() -> Iterator[Finding]:
    """See whether networks can be trained and converted; a call needs no torch."""
    try:
        yield "torch", True, metadata.version("torch"), ""
    except metadata.PackageNotFoundError:
        yield "torch", False, "missing: no training, no `lipline convert`", "pip install 'lipline[train]'"


def programs() -> Iterator[Finding]:
    """See which optional programs are there."""
    wanted = {
        "espeak-ng": "rendering other callers",
        "ffmpeg": "nothing in a call; handy for looking at files",
        "chromium": "the browser tests",
    }
    for name, purpose in wanted.items():
        path = shutil.which(name)
        yield name, path is not None, path or f"missing; used for {purpose}", f"sudo apt install {name}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield "processor cores", cores >= 2, str(cores), "a call wants two: filter and codecs side by side"


def _has_encoder(name: str) -> bool:
    import av.codec

    try:
        av.codec.Codec(name, "w")
    except Exception:  # PyAV renamed the error between releases; any of them means no
        return False
    return True


def _pins() -> list[tuple[str, str]]:
    """Return (package, version range) for every dependency of a call, from lipline's own metadata."""
    pins = []
    for requirement in metadata.requires("lipline") or []:
        name, wanted = re.match(r"([A-Za-z0-9._-]+)\s*([^;]*)", requirement).groups()  # type: ignore[union-attr]
        if "extra" not in requirement:
            pins.append((name, wanted.strip()))
    return sorted(pins)


def _satisfies(found: str, wanted: str) -> bool:
    """Compare plain release numbers; enough for our own ranges, without another package."""
    have = _release(found)
    for clause in filter(None, wanted.split(",")):
        operator, version = re.match(r"(==|>=|<=|<|>|!=)\s*(.+)", clause.strip()).groups()  # type: ignore[union-attr]
        limit = _release(version)
        length = max(len(have), len(limit))
        a, b = have + (0,) * (length - len(have)), limit + (0,) * (length - len(limit))
        if not {"==": a == b, ">=": a >= b, "<=": a <= b, "<": a < b, ">": a > b, "!=": a != b}[operator]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[a-z+]", version)[0]))
