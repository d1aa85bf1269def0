"""Checkpoints as strangers bring them: read, recognised, or refused with the reason."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stock_nets import flat_state

from models.errors import CheckpointError
from models.onnx.checkpoint import load_network, read_state


class Attack:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def saved(path: Path, content: object, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize(
    ("kind", "prefix", "wrapped"),
    [
        ("discriminator", "", True),
        ("discriminator", "", False),
        ("discriminator", "module.", True),
        ("discriminator", "module.", False),
        ("wav2lip", "module.", True),
        ("syncnet", "", False),
    ],
)
def test_recognises_every_form(tmp_path: Path, kind: str, prefix: str, wrapped: bool) -> None:
    state: dict[str, object] = {prefix + key: value for key, value in flat_state(kind).items()}
    if wrapped:
        optimizer = {
            "state": {0: {"step": 3, "exp_avg": torch.zeros(2)}},
            "param_groups": [{"lr": 1e-4, "params": [0]}],
        }
        state = {"state_dict": state, "optimizer": optimizer, "global_step": 3, "global_epoch": 1}
    found, network = load_network(saved(tmp_path / "any.pth", state))
    assert found.kind == kind
    assert not network.training
    assert all((value == 0.01).all() for value in network.parameters())
    assert all(not parameter.is_meta for parameter in [*network.parameters(), *network.buffers()])


def test_reads_the_format_of_old_torch_without_batch_counters_in_half(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in flat_state("discriminator").items()}
    path = saved(tmp_path / "disc.pth", {"state_dict": state}, zipped=False)
    assert next(load_network(path)[1].parameters()).dtype == torch.float32
    old = {key: value for key, value in flat_state("syncnet").items() if "num_batches" not in key}
    assert load_network(saved(tmp_path / "old.pth", old))[0].kind == "syncnet"


def test_refuses_code_and_does_not_run_it(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    path = saved(tmp_path / "evil.pth", {"state_dict": {"a": torch.zeros(1)}, "x": Attack(witness)})
    with pytest.raises(CheckpointError, match="could run any code"):
        read_state(path)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Attack(witness)))
    with pytest.raises(CheckpointError):
        read_state(tmp_path / "plain.pkl")
    assert not witness.exists()


def test_refuses_a_torchscript_program(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "script.pth", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", b"")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_state(tmp_path / "script.pth")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_refuses_a_truncated_file(tmp_path: Path, share: float, zipped: bool) -> None:
    path = saved(tmp_path / "whole.pth", flat_state("wav2lip"), zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="download or copy it again"):
        load_network(path)


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com/spec/v1\n", b"\x00" * 999, b"RIFFWAVE" * 9],
)
def test_refuses_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fake.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="again"):
        load_network(tmp_path / "fake.pth")


def test_refuses_safetensors_with_the_way_around(tmp_path: Path) -> None:
    header = b'{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "net.pth").write_bytes(len(header).to_bytes(8, "little") + header + b"\x00" * 4)
    with pytest.raises(CheckpointError, match="safetensors"):
        load_network(tmp_path / "net.pth")


def test_refuses_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match="not a file"):
            load_network(path)


@pytest.mark.parametrize("content", [[1, 2], {}, torch.zeros(3), {"state_dict": {}}, {"state_dict": [1]}])
def test_refuses_what_holds_no_state(tmp_path: Path, content: object) -> None:
    with pytest.raises(CheckpointError, match="state dictionary"):
        load_network(saved(tmp_path / "odd.pth", content))


def test_refuses_entries_that_are_not_weights(tmp_path: Path) -> None:
    state = flat_state("syncnet") | {"epoch": 3}
    with pytest.raises(CheckpointError, match=r"not weights \(epoch\)"):
        load_network(saved(tmp_path / "mixed.pth", state))


def test_refuses_another_network_by_its_keys(tmp_path: Path) -> None:
    state = {f"conv{i}_1.weight": torch.zeros(3) for i in range(20)}
    with pytest.raises(CheckpointError, match=r"another network .*conv0_1\.weight.*Wav2Lip generator"):
        load_network(saved(tmp_path / "s3fd.pth", state))


def test_says_what_does_not_fit(tmp_path: Path) -> None:
    state = flat_state("wav2lip")
    del state["output_block.1.bias"]
    state["output_block.3.weight"] = torch.zeros(2)
    state["output_block.0.conv_block.0.weight"] = torch.zeros(32, 81, 3, 3)
    state["audio_encoder.0.conv_block.0.bias"] = torch.full((32,), float("nan"))
    with pytest.raises(CheckpointError) as caught:
        load_network(saved(tmp_path / "changed.pth", state))
    text = str(caught.value)
    assert "like a Wav2Lip generator" in text and "\n" not in text and len(text) < 700
    assert "1 keys missing (output_block.1.bias)" in text
    assert "1 unexpected keys (output_block.3.weight)" in text
    assert "output_block.0.conv_block.0.weight is (32, 81, 3, 3), not (32, 80, 3, 3)" in text
    assert "1 tensors with NaN or infinity (audio_encoder.0.conv_block.0.bias)" in text


def test_expert_and_generator_are_told_apart_though_they_share_audio_keys(tmp_path: Path) -> None:
    state = flat_state("syncnet")
    del state["face_encoder.16.conv_block.0.weight"]
    with pytest.raises(CheckpointError, match="like a colour SyncNet expert"):
        load_network(saved(tmp_path / "expert.pth", state))
