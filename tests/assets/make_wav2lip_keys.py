"""Write wav2lip_keys.json: the convolutions of the public Wav2Lip checkpoints, by key and weight shape.

The naming scheme and group sizes are those of the public checkpoints (Wav2Lip, commit 5c90fa9), written down here apart
from models/, so that a change of the networks cannot change what is expected of them. Run
`python tests/assets/make_wav2lip_keys.py`; "norm" entries have a batch norm behind them, "bare" ones have not.
"""

import json
from pathlib import Path

Shapes = dict[str, list[int]]
"""Keys with the shapes of their weights."""

Convolution = tuple[int, int, int]
"""Channels in and out, and the side of the kernel."""


def same(width: int, times: int) -> list[Convolution]:
    return [(width, width, 3)] * times


def chain(prefix: str, convolutions: list[Convolution]) -> Shapes:
    return {f"{prefix}.{i}": [out, into, kernel, kernel] for i, (into, out, kernel) in enumerate(convolutions)}


def audio(deep: int) -> list[Convolution]:
    return [
        (1, 32, 3), *same(32, 2), (32, 64, 3), *same(64, 2), (64, 128, 3), *same(128, 2),
        (128, 256, 3), *same(256, deep), (256, 512, 3), (512, 512, 1),
    ]  # fmt: skip


def generator() -> dict[str, Shapes]:
    encoder = [
        [(6, 16, 7)], [(16, 32, 3), *same(32, 2)], [(32, 64, 3), *same(64, 3)], [(64, 128, 3), *same(128, 2)],
        [(128, 256, 3), *same(256, 2)], [(256, 512, 3), *same(512, 1)], [(512, 512, 3), (512, 512, 1)],
    ]  # fmt: skip
    decoder = [(1024, 512, 1), (1024, 512, 2), (768, 384, 2), (512, 256, 2), (320, 128, 2), (160, 64, 2)]
    norm = chain("audio_encoder", audio(1))
    for n, group in enumerate(encoder):
        norm |= chain(f"face_encoder_blocks.{n}", group)
    norm["face_decoder_blocks.0.0"] = [512, 512, 1, 1]
    transposed: Shapes = {}
    for n, (into, out, residual) in enumerate(decoder, start=1):
        transposed[f"face_decoder_blocks.{n}.0"] = [into, out, 3, 3]
        norm |= {f"face_decoder_blocks.{n}.{m}": [out, out, 3, 3] for m in range(1, residual + 1)}
    norm["output_block.0"] = [32, 80, 3, 3]
    return {"norm": norm, "transposed": transposed, "bare": {"output_block.1": [3, 32, 1, 1]}}


def expert() -> dict[str, Shapes]:
    face = [
        (15, 32, 7), (32, 64, 5), *same(64, 2), (64, 128, 3), *same(128, 3), (128, 256, 3), *same(256, 2),
        (256, 512, 3), *same(512, 2), (512, 512, 3), (512, 512, 3), (512, 512, 1),
    ]  # fmt: skip
    return {"norm": chain("face_encoder", face) | chain("audio_encoder", audio(2)), "transposed": {}, "bare": {}}


def discriminator() -> dict[str, Shapes]:
    groups = [
        [(3, 32, 7)], [(32, 64, 5), (64, 64, 5)], [(64, 128, 5), (128, 128, 5)], [(128, 256, 5), (256, 256, 5)],
        [(256, 512, 3), (512, 512, 3)], [(512, 512, 3), (512, 512, 3)], [(512, 512, 3), (512, 512, 1)],
    ]  # fmt: skip
    bare = {"binary_pred.0": [1, 512, 1, 1]}
    for n, group in enumerate(groups):
        bare |= {f"{key}.conv_block.0": shape for key, shape in chain(f"face_encoder_blocks.{n}", group).items()}
    return {"norm": {}, "transposed": {}, "bare": bare}


if __name__ == "__main__":
    networks = {"wav2lip": generator(), "syncnet": expert(), "discriminator": discriminator()}
    Path(__file__).with_name("wav2lip_keys.json").write_text(json.dumps(networks, separators=(",", ":")) + "\n")
