"""Providers are what was asked for, and files that are no models say so."""

from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from models.errors import ModelError
from models.runtime import open_session


@pytest.mark.parametrize(("provider", "threads"), [("tpu", 1), ("cpu", 0), ("", 2)])
def test_refuses_what_is_out_of_range(provider: str, threads: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        open_session(Path("any.onnx"), provider, threads)


def test_a_provider_that_is_not_built_in_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match=r"no CUDAExecutionProvider: .*lipline\[gpu\]"):
        open_session(tmp_path / "any.onnx", "cuda")


def test_a_provider_that_falls_back_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def fall_back(_path: str, _options: object, providers: list[str]) -> SimpleNamespace:
        asked.append(providers)
        return SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])

    (tmp_path / "any.onnx").touch()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fall_back)
    with pytest.raises(ModelError, match="fell back to CPUExecutionProvider"):
        open_session(tmp_path / "any.onnx", "cuda")
    assert asked == [["CUDAExecutionProvider", "CPUExecutionProvider"]]


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("none.onnx", None, "check the path"),
        ("empty.onnx", b"", "download or convert it again"),
        ("noise.onnx", b"\x00\x01garbage" * 50, "download or convert it again"),
        ("page.onnx", b"<html>404</html>", "download or convert it again"),
        ("wav2lip.pth", b"PK\x03\x04whatever", "lipline convert wav2lip.pth wav2lip.onnx"),
    ],
)
def test_a_file_that_is_no_model_is_an_error(tmp_path: Path, name: str, content: bytes | None, remedy: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=remedy) as caught:
        open_session(tmp_path / name)
    assert "\n" not in str(caught.value)
