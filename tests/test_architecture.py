"""The walls between the rooms: imports run downward, pure rooms stay pure, one file knows aiortc's private parts."""

import ast
import re
from collections.abc import Iterator
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
PURE = (
    "clock", "speech.jitter", "speech.delay", "speech.playout", "speech.speechline", "speech.timescale",
    "speech.conceal", "speech.resample", "speech.audio", "speech.lipsync", "rtc.send.uplink", "rtc.send.bitrate",
    "picture.monitor", "face.history", "picture.engine", "speech.mel", "media", "picture.stats", "cam.modes",
    "cam.path", "cam.sound", "cam.late", "cam.output", "speech.voice", "face.people", "photo.idle", "serial",
    "windowed",
)  # fmt: skip
IMPURE = {"aiortc", "aioice", "torch", "av", "cv2", "socket", "websockets", "mediapipe", "onnxruntime", "subprocess"}
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


def test_pure_rooms_do_no_io() -> None:
    checked = 0
    for name in PURE:
        for module in closure(f"realtime.{name}"):
            path = module_path(module)
            assert path is not None
            checked += 1
            reached = tops(path) & IMPURE
            assert not reached, f"realtime/{name}.py reaches {sorted(reached)} through {module}"
    assert checked >= len(PURE)


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
