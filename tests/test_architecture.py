"""The walls between the rooms: imports run one way, pure rooms stay pure, one room knows aiortc's private parts."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "models": {"models"},
    "realtime": {"realtime", "models"},
    "signaling": {"signaling", "realtime", "models"},
    "client": {"client", "signaling", "realtime", "models"},
    # media_file and its MediaError: one way to read and write media for a call, a dub and a corpus.
    "train": {"train", "realtime", "models"},
    "benchmarks": {"benchmarks", "train", "client", "signaling", "realtime", "models"},
}
IO = {
    "aiortc", "aioice", "av", "cv2", "mediapipe", "onnxruntime", "opuslib_next", "socket", "sounddevice", "subprocess",
    "torch", "websockets",
}  # fmt: skip
PURE_ROOMS = ("realtime/speech", "realtime/picture")
MAY_USE = {
    "realtime": {"av"},
    "realtime/face": {"cv2"},
    "realtime/photo": {"cv2"},
    "realtime/cam": {"av", "cv2"},
    "realtime/devices": {"av", "cv2", "sounddevice", "subprocess"},
    "realtime/rtc": {"aiortc"},
    "realtime/rtc/aiortc": {"aiortc", "socket"},
    "realtime/rtc/badlink": {"aiortc"},
    "realtime/rtc/node": {"aiortc"},
    "realtime/rtc/receive": {"aiortc", "av"},
    "realtime/rtc/send": {"aiortc", "av", "opuslib_next"},
    "signaling": {"websockets"},
}
"""What I/O the files of a room may import themselves; rooms of `realtime` and `signaling` that are missing: none."""
PURE_FILES = (
    "clock", "media", "serial", "windowed", "cam.beat", "cam.late", "cam.modes", "cam.output", "cam.path", "cam.sound",
    "face.history", "face.people", "photo.idle", "rtc.badlink.link", "rtc.receive.assemble", "rtc.receive.nack",
    "rtc.receive.repair", "rtc.receive.rtpclock", "rtc.receive.sourceclock", "rtc.send.bitrate", "rtc.send.mediantp",
    "rtc.send.uplink",
)  # fmt: skip
"""What decides stands beside the I/O that it decides about: no rule for a folder can hold these."""
KNOWN_CYCLES = {
    ("models/blocks", "models/expert"): "the blocks of the networks know the size of the expert's input",
    ("models/catalog", "models/wav2lip"): "the catalog opens every kind of generator, and the expert looks itself up",
    ("models/onnx", "models/expert"): "a public checkpoint is read into the networks that it is of",
    ("models/onnx", "models/wav2lip"): "a public checkpoint is read into the networks that it is of",
}
"""Imports that run against the others between two rooms, each with its reason."""
TORCH_ROOMS = {"models", "train", "benchmarks"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that `tree` imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}


def eager_tops(path: Path) -> set[str]:
    """Return what importing the module imports at once: statements outside functions and TYPE_CHECKING blocks."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name.split(".")[0] for name in imports(node)}
        pending.extend(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_downward(package: str) -> None:
    files = sources(package)
    assert files
    for path in files:
        upward = (tops(path) & set(MAY_IMPORT)) - MAY_IMPORT[package]
        assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}"


def closure(module: str) -> set[str]:
    """Return the project's modules that importing `module` brings, itself included."""
    found: set[str] = set()
    pending = {module}
    while pending:
        path = module_path(name := pending.pop())
        if name in found or path is None:
            continue
        found.add(name)
        pending |= {used for used in imports(ast.parse(path.read_text())) if used.split(".")[0] in MAY_IMPORT}
    return found


def module_path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def room(path: Path) -> str:
    """Return the folder of `path`; a file beside folders is a room of its own: floor or roof of the others."""
    folder = path.parent
    alone = path.name != "__init__.py" and any(folder.glob("*/__init__.py"))
    return (path.with_suffix("") if alone else folder).relative_to(ROOT).as_posix()


def test_pure_rooms_and_files_reach_no_io() -> None:
    pure = [path for folder in PURE_ROOMS for path in sources(folder)]
    assert len(pure) > 20
    pure += [path for name in PURE_FILES if (path := module_path(f"realtime.{name}"))]
    assert len(pure) - len(PURE_FILES) == sum(len(sources(folder)) for folder in PURE_ROOMS), "a pure file is missing"
    for path in pure:
        for module in closure(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")):
            reached = tops(module_path(module) or path) & IO
            assert not reached, f"{path.relative_to(ROOT)} reaches {sorted(reached)} through {module}"


def test_rooms_do_the_io_that_is_theirs() -> None:
    used: dict[str, set[str]] = {}
    for package in ("realtime", "signaling"):
        for path in sources(package):
            folder = path.parent.relative_to(ROOT).as_posix()
            used.setdefault(folder, set()).update(found := tops(path) & IO)
            assert found <= MAY_USE.get(folder, set()), f"{path.relative_to(ROOT)} imports {sorted(found)}"
    assert {folder: found for folder, found in used.items() if found} == MAY_USE, "the table allows what nobody does"


def test_no_two_rooms_need_each_other() -> None:
    needs: dict[str, set[str]] = {}
    for path in (path for package in MAY_IMPORT for path in sources(package)):
        reached = {room(other) for name in modules_imported(path) if (other := module_path(name))}
        needs.setdefault(room(path), set()).update(reached - {room(path)})
    for inner, outer in KNOWN_CYCLES:
        assert outer in needs[inner], f"{inner} does not import {outer} any more: take it off the list"
        needs[inner].discard(outer)
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"rooms import each other: {' <- '.join(error.args[1])}")


def test_no_call_needs_torch() -> None:
    for package in set(MAY_IMPORT) - TORCH_ROOMS:
        for path in sources(package):
            assert "torch" not in eager_tops(path), f"{path.relative_to(ROOT)} imports torch as soon as it is imported"


def test_private_aiortc_has_one_door() -> None:
    """One guarded room for all of it, whose files nobody else imports."""
    private = re.compile(r"_RTC\w+__|\._handle_rt|\._RTC|__jitter_buffer|\._track_events|\._send_rtp\b|set_private")
    door = ROOT / "realtime" / "rtc" / "aiortc"
    for package in MAY_IMPORT:
        for path in sources(package):
            if path.parent == door:
                continue
            hit = private.search(path.read_text()) if package == "realtime" else None
            assert hit is None, f"{path.relative_to(ROOT)} reaches into aiortc: {hit.group() if hit else ''}"
            past = {name for name in modules_imported(path) if name.startswith("realtime.rtc.aiortc.")}
            assert not past, f"{path.relative_to(ROOT)} goes past the door realtime.rtc.aiortc: {sorted(past)}"


def modules_imported(path: Path) -> set[str]:
    """Return the project's modules that `path` imports, wherever the statement stands; names in them are left out."""
    return {name for name in imports(ast.parse(path.read_text())) if module_path(name) is not None}


def test_every_package_is_installed_with_the_wheel() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    for package in MAY_IMPORT:
        assert f'"{package}*"' in declared
        for folder in {path.parent for path in sources(package)}:
            assert (folder / "__init__.py").exists(), f"{folder.relative_to(ROOT)} lacks __init__.py"


def test_what_a_thread_works_on_is_waited_for() -> None:
    """`asyncio.to_thread` leaves its thread running when its caller is cancelled: `realtime.threads` waits."""
    for package in MAY_IMPORT:
        for path in sources(package):
            if path != ROOT / "realtime" / "threads.py":
                leaves_it_running = "to_thread" in path.read_text()
                assert not leaves_it_running, f"{path.relative_to(ROOT)}: use realtime.threads.in_thread"


def test_no_class_name_stands_for_two_ideas() -> None:
    """A search must find one thing; names with an underscore are their file's own."""
    places: dict[str, list[str]] = {}
    for package in MAY_IMPORT:
        for path in sources(package):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert not {name: files for name, files in places.items() if len(files) > 1}
