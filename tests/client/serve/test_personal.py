"""A caller who joins under a name gets the file of that name, and nothing else can be reached by a name."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest
from aiortc import RTCConfiguration

from client.call.meeting import Meeting
from client.serve.host import filter_node, hosted
from client.serve.personal import open_personal, personal_file
from models.catalog import model_path
from models.generator import Generator, Image
from realtime.clock import MonotonicClock
from realtime.rtc.send.caller import CallerPeer
from signaling.messages import Role


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret", "a/b", "a\\b", "secret.onnx", "anna\n", "anna\0", "ännä", "a" * 65, "outside"]
)
def test_a_name_reaches_nothing_but_files_of_the_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    (folder / "a").mkdir(parents=True)
    for path in (tmp_path / "secret.onnx", folder / ".onnx", folder / "...onnx", folder / "a" / "b.onnx"):
        path.write_bytes(b"private")
    (folder / "outside.onnx").symlink_to(tmp_path / "secret.onnx")
    assert personal_file(folder, name) is None


def test_a_name_finds_its_file(tmp_path: Path) -> None:
    (tmp_path / "Anna_b-2.onnx").write_bytes(b"")
    (tmp_path / "folder.onnx").mkdir()
    assert personal_file(tmp_path, "Anna_b-2") == (tmp_path / "Anna_b-2.onnx").resolve()
    assert personal_file(tmp_path, "folder") is None
    assert personal_file(tmp_path / "nowhere", "Anna_b-2") is None


def test_a_broken_file_is_told_once_by_its_name_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "anna.onnx").write_bytes(b"no model")
    with caplog.at_level(logging.WARNING):
        assert open_personal(tmp_path, "anna") is None
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("anna.onnx cannot be used") and str(tmp_path) not in line and "\n" not in line


async def test_each_caller_of_a_room_gets_their_own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(model_path("lite"), tmp_path / "anna.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    opened: list[str] = []

    def noted(path: str | Path, provider: str = "cpu", threads: int = 2) -> Generator:
        opened.append(Path(path).name)
        return open_generator(path, provider, threads)

    from models import catalog

    open_generator = catalog.open_generator
    monkeypatch.setattr(catalog, "open_generator", noted)

    # Faces are not looked for here: the tracker is the slow part of a renderer.
    monkeypatch.setattr("client.serve.host.MediaPipeTracker", NoFaces)
    async with hosted(["r"], "t", lambda: filter_node("lite", "cpu", tmp_path)) as here:
        assert opened.pop() == "lite"
        for name, expected in (("anna", ["anna.onnx"]), ("bert", ["lite"]), ("broken", ["broken.onnx", "lite"])):
            opened.clear()
            peer = CallerPeer(MonotonicClock(), zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]))
            async with Meeting(here.url, "r", "t", Role.CALLER, name, print) as meeting:
                try:
                    async with asyncio.timeout(90.0):
                        await meeting.offer(peer.pc)
                finally:
                    await peer.close()
            assert opened == expected


class NoFaces:
    """A tracker that sees nobody."""

    def track(self, image: Image, t_ms: float) -> None:
        return None

    def close(self) -> None:
        pass
