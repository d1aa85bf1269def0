"""`lipline convert` from the command line's side."""

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from client.main import main
from models.errors import ModelError
from models.expert.network import SyncNet
from models.runtime import open_session


@pytest.fixture(scope="module")
def expert() -> Iterator[tuple[SyncNet, Path]]:
    torch.manual_seed(5)
    network = SyncNet().eval()
    # Not pytest's tmp_path: it keeps the last three runs, at 130 MB each.
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "expert.pth"
        torch.save(network.state_dict(), checkpoint)
        yield network, checkpoint


def test_converts_an_expert(expert: tuple[SyncNet, Path], capsys: pytest.CaptureFixture[str]) -> None:
    network, checkpoint = expert
    out = checkpoint.with_name("expert.onnx")
    assert main(["convert", str(checkpoint), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "colour SyncNet expert, 16,435,072 parameters" in printed and "equals PyTorch to" in printed
    session = open_session(out)
    assert [(value.name, value.shape) for value in session.get_inputs()] == [
        ("mel", ["N", 1, 80, 16]),
        ("face", ["N", 15, 48, 96]),
    ]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [
        ("audio", ["N", 512]),
        ("video", ["N", 512]),
    ]
    assert session.get_modelmeta().custom_metadata_map["lipline.kind"] == "syncnet"
    rng = np.random.default_rng(1)
    mel, face = (rng.random((4, *shape), dtype=np.float32) for shape in ((1, 80, 16), (15, 48, 96)))
    with torch.no_grad():
        expected = network(torch.from_numpy(mel), torch.from_numpy(face))
    for tensor, array in zip(expected, session.run(["audio", "video"], {"mel": mel, "face": face}), strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-4)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run `lipline convert`, which must refuse with exit code 2 and one line; return the line."""
    assert main(["convert", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("lipline: error: ")
    return lines[0]


def test_refuses_wrong_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, out = tmp_path / "a.pth", tmp_path / "a.onnx"
    assert "no file" in refused(capsys, checkpoint, out)
    checkpoint.write_bytes(b"x")
    assert "name the output like a.onnx" in refused(capsys, checkpoint, tmp_path / "a.bin")
    assert "--model" in refused(capsys, tmp_path / "b.onnx", out)
    assert "make it first" in refused(capsys, checkpoint, tmp_path / "none" / "a.onnx")
    out.write_bytes(b"old")
    assert "--force" in refused(capsys, checkpoint, out)
    assert "download or copy it again" in refused(capsys, checkpoint, out, "--force")
    assert out.read_bytes() == b"old"


def test_refuses_the_discriminator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from models.wav2lip.discriminator import QualityDiscriminator

    with torch.device("meta"):
        shapes = {key: value.shape for key, value in QualityDiscriminator().state_dict().items()}
    checkpoint = tmp_path / "disc.pth"
    torch.save({key: torch.tensor(0.0).expand(shape) for key, shape in shapes.items()}, checkpoint)
    assert "quality discriminator, which only training uses" in refused(capsys, checkpoint, tmp_path / "disc.onnx")
    assert not (tmp_path / "disc.onnx").exists()


def test_says_how_to_get_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pth").write_bytes(b"x")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    line = refused(capsys, tmp_path / "a.pth", tmp_path / "a.onnx")
    assert "convert needs torch" in line and "pip install 'lipline[train]'" in line


def test_a_file_that_differs_is_refused(
    expert: tuple[SyncNet, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> float:
        raise ModelError("the exported syncnet differs from torch by 0.1")

    monkeypatch.setattr("models.onnx.export.export_onnx", differ)
    assert "differs from torch" in refused(capsys, expert[1], expert[1].with_name("other.onnx"))


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["convert", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in ("generator", "expert", "non-commercial", "lipline dub", "pip install 'lipline[train]'"):
        assert word in text
