"""The teacher: Whisper's encoder, read from both forms of its file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from models.ears.whisper import load_whisper
from models.errors import ModelError

WIDTH, HEADS, LAYERS = 128, 2, 2
Arrays = dict[str, NDArray[np.float32]]


def official() -> dict[str, torch.Tensor]:
    """Random weights under the names of openai/whisper, with a decoder's beside them."""
    made = torch.Generator().manual_seed(3)

    def some(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(*shape, generator=made)

    state = {
        "encoder.conv1.weight": some(WIDTH, 80, 3),
        "encoder.conv1.bias": some(WIDTH),
        "encoder.conv2.weight": some(WIDTH, WIDTH, 3),
        "encoder.conv2.bias": some(WIDTH),
        "encoder.positional_embedding": some(1500, WIDTH),
        "encoder.ln_post.weight": 1.0 + some(WIDTH),
        "encoder.ln_post.bias": some(WIDTH),
        "decoder.ln.weight": some(WIDTH),
    }
    for at in range(LAYERS):
        block = f"encoder.blocks.{at}."
        for part in ("query", "key", "value", "out"):
            state[f"{block}attn.{part}.weight"] = some(WIDTH, WIDTH)
            if part != "key":
                state[f"{block}attn.{part}.bias"] = some(WIDTH)
        for part, shape in (("mlp.0", (4 * WIDTH, WIDTH)), ("mlp.2", (WIDTH, 4 * WIDTH))):
            state[f"{block}{part}.weight"], state[f"{block}{part}.bias"] = some(*shape), some(shape[0])
        for part in ("attn_ln", "mlp_ln"):
            state[f"{block}{part}.weight"], state[f"{block}{part}.bias"] = 1.0 + some(WIDTH), some(WIDTH)
    return state


def as_arrays(state: dict[str, torch.Tensor]) -> Arrays:
    """The same under the names of CTranslate2."""
    found = {name.removeprefix("encoder."): value.numpy() for name, value in state.items()}
    arrays: Arrays = {name: value for name, value in found.items() if name.startswith("conv")}
    arrays["position_encodings.encodings"] = found["positional_embedding"]
    arrays["layer_norm.gamma"], arrays["layer_norm.beta"] = found["ln_post.weight"], found["ln_post.bias"]
    for at in range(LAYERS):
        block, layer = f"blocks.{at}.", f"layer_{at}."
        for theirs, ours in (("attn_ln", "self_attention.layer_norm"), ("mlp_ln", "ffn.layer_norm")):
            arrays[f"{layer}{ours}.gamma"] = found[f"{block}{theirs}.weight"]
            arrays[f"{layer}{ours}.beta"] = found[f"{block}{theirs}.bias"]
        parts = [f"{block}attn.{part}" for part in ("query", "key", "value")]
        arrays[f"{layer}self_attention.linear_0.weight"] = np.concatenate([found[f"{part}.weight"] for part in parts])
        biases = [found.get(f"{part}.bias", np.zeros(WIDTH, np.float32)) for part in parts]
        arrays[f"{layer}self_attention.linear_0.bias"] = np.concatenate(biases)
        names = (("attn.out", "self_attention.linear_1"), ("mlp.0", "ffn.linear_0"), ("mlp.2", "ffn.linear_1"))
        for theirs, ours in names:
            for end in ("weight", "bias"):
                arrays[f"{layer}{ours}.{end}"] = found[f"{block}{theirs}.{end}"]
    return arrays


def write_official(path: Path, **more: Any) -> Path:
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": official(), **more}, path)
    return path


def write_arrays(path: Path) -> Path:
    arrays: dict[str, Any] = dict(as_arrays(official()))
    np.savez(path, **arrays)
    return path


def formula(state: dict[str, torch.Tensor], mel: torch.Tensor) -> torch.Tensor:
    """The encoder of one recording (80, 2 T), written out head by head and frame by frame: (T, WIDTH)."""

    def take(name: str) -> torch.Tensor:
        return state[f"encoder.{name}"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        spread = (x - x.mean(-1, True)).square().mean(-1, True)
        return (x - x.mean(-1, True)) / (spread + 1e-5).sqrt() * take(f"{name}.weight") + take(f"{name}.bias")

    x = F.gelu(F.conv1d(mel[None], take("conv1.weight"), take("conv1.bias"), padding=1))
    x = F.gelu(F.conv1d(x, take("conv2.weight"), take("conv2.bias"), stride=2, padding=1))[0].T
    x = x + take("positional_embedding")[: len(x)]
    for at in range(LAYERS):
        block = f"blocks.{at}."
        calm = norm(x, f"{block}attn_ln")
        query = calm @ take(f"{block}attn.query.weight").T + take(f"{block}attn.query.bias")
        key = calm @ take(f"{block}attn.key.weight").T
        value = calm @ take(f"{block}attn.value.weight").T + take(f"{block}attn.value.bias")
        seen = []
        for head in range(HEADS):
            own = slice(64 * head, 64 * head + 64)
            weights = torch.softmax(query[:, own] @ key[:, own].T / 8.0, -1)
            seen.append(weights @ value[:, own])
        x = x + torch.cat(seen, 1) @ take(f"{block}attn.out.weight").T + take(f"{block}attn.out.bias")
        up = F.gelu(norm(x, f"{block}mlp_ln") @ take(f"{block}mlp.0.weight").T + take(f"{block}mlp.0.bias"))
        x = x + up @ take(f"{block}mlp.2.weight").T + take(f"{block}mlp.2.bias")
    return norm(x, "ln_post")


@pytest.mark.parametrize("form", ["official", "arrays"])
def test_both_forms_of_the_file_follow_the_formula(tmp_path: Path, form: str) -> None:
    path = write_official(tmp_path / "tiny.pt") if form == "official" else write_arrays(tmp_path / "tiny.npz")
    teacher = load_whisper(path)
    mel = torch.randn(1, 80, 60, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        heard = teacher(mel)[0]
    assert heard.shape == (30, WIDTH) and teacher.width == WIDTH and not teacher.training
    torch.testing.assert_close(heard, formula(official(), mel[0]), atol=1e-4, rtol=1e-4)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no"):
        load_whisper(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    for name in ("text.pt", "other.npz"):
        with pytest.raises(ModelError, match="holds no encoder"):
            load_whisper(tmp_path / name)
