"""Names, paths and kinds of models."""

from pathlib import Path

import onnxruntime
import pytest
from tiny_generators import write_slicer

import models.catalog as catalog
from models.catalog import bundled_models, model_path, open_generator
from models.errors import ModelError


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(catalog, "WEIGHTS", folder)
    return folder


def test_bundled_models_by_name(weights: Path) -> None:
    # The expert lies beside the generators and is none.
    for name in ("beta", "alpha", "expert"):
        write_slicer(weights / f"{name}.onnx")
    (weights / "alpha.md").write_text("card")
    assert bundled_models() == ["alpha", "beta"]
    assert model_path("beta") == weights / "beta.onnx"
    assert open_generator("alpha").name == "alpha"


def test_paths_with_and_without_suffix(weights: Path, tmp_path: Path) -> None:
    path = write_slicer(tmp_path / "model.bin")
    assert model_path(path) == path == model_path(str(path))


def test_unknown_names_and_paths_say_what_there_is(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'lyte' \(bundled: none\)"):
        open_generator("lyte")
    write_slicer(weights / "alpha.onnx")
    with pytest.raises(ModelError, match=r"'lyte' \(bundled: alpha\)"):
        open_generator("lyte")
    for missing in ("gone.onnx", "some/where", tmp_path / "gone"):
        with pytest.raises(ModelError, match="no model file"):
            open_generator(missing)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"lipline.kind": "syncnet"}, "judges lips and makes none"),
        ({"lipline.kind": "nerf"}, "no generator that lipline knows"),
        ({"lipline.kind": "wav2lip", "lipline.version": "2"}, "update lipline"),
        ({"lipline.kind": "wav2lip", "lipline.version": "one"}, "update lipline"),
        ({"lipline.kind": "wav2lip", "lipline.window": "wide"}, "not a mel window"),
    ],
)
def test_refuses_by_metadata(tmp_path: Path, metadata: dict[str, str], reason: str) -> None:
    path = write_slicer(tmp_path / "model.onnx", metadata=metadata)
    with pytest.raises(ModelError, match=reason) as caught:
        open_generator(path)
    assert str(path) in str(caught.value)


def test_lite_files_go_to_the_lite_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[onnxruntime.InferenceSession] = []
    lite = object()

    def take(session: onnxruntime.InferenceSession) -> object:
        opened.append(session)
        return lite

    monkeypatch.setattr("models.lite.onnx.LiteGenerator", take)
    path = write_slicer(tmp_path / "model.onnx", metadata={"lipline.kind": "lite"})
    assert open_generator(path) is lite
    assert opened[0].get_providers() == ["CPUExecutionProvider"]
