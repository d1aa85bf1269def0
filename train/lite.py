"""Train the lite generator and write it as ONNX: `python -m train.lite --clips DIR --run DIR --out lite.onnx`.

Stage 1 fits the basis of mouth shapes and the voice, stage 2 the pictures; both resume from the run's folder.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from models.export import export_onnx
from models.lite import Lite
from models.lite_contract import LiteConfig
from models.lite_onnx import CONFIG_KEY, contract
from train.npz import Clip, fit_basis, load
from train.oldloop import LoopConfig
from train.picture import train_picture
from train.voice import frames_of, measure_voice, train_voice


def train_lite(
    clips: Sequence[Clip],
    config: LiteConfig,
    run: Path,
    voice_minutes: float,
    picture_minutes: float,
    steps: tuple[int, int] = (20_000, 40_000),
    seed: int = 1,
    bf16: bool = False,
) -> Lite:
    """Train both stages on `clips` within their time budgets; `run` holds the basis and the checkpoints.

    Calling it again with the same `run` goes on where it stopped.
    """
    run.mkdir(parents=True, exist_ok=True)
    basis_path = run / "basis.npy"
    if not basis_path.exists():
        np.save(basis_path, fit_basis(clips, config.coefficients))
    basis = np.load(basis_path, allow_pickle=False)
    lite = Lite(config)
    lite.basis_BV.copy_(torch.from_numpy(basis))
    loop = LoopConfig(voice_minutes, steps[0], learning_rate=1e-3)
    voice = train_voice(clips, basis, config, run / "voice.pt", loop, seed)
    lite.voice.load_state_dict(voice.state_dict())
    train_picture(
        lite, clips, run / "picture.pt", LoopConfig(picture_minutes, steps[1], learning_rate=1e-3), seed, bf16=bf16
    )
    return lite.eval()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m train.lite", description=__doc__)
    parser.add_argument(
        "--clips", type=Path, required=True, help="folder of clips that `python -m train.prepare` wrote"
    )
    parser.add_argument(
        "--run", type=Path, required=True, help="folder of this run's checkpoints; resumed when it exists"
    )
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    parser.add_argument("--speakers", nargs="*", help="only these (default: all in the folder)")
    parser.add_argument("--lookahead-ms", type=float, default=80.0, help="audio the model may hear after a frame")
    parser.add_argument("--voice-minutes", type=float, default=15.0)
    parser.add_argument("--picture-minutes", type=float, default=45.0)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 for the pictures: faster with avx512_bf16")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    config = LiteConfig(lookahead_ms=args.lookahead_ms)
    training, held_out = load(args.clips, config, args.speakers)
    print(f"{len(training)} clips to train on, {len(held_out)} held out", flush=True)
    lite = train_lite(training, config, args.run, args.voice_minutes, args.picture_minutes, bf16=args.bf16)
    if held_out:
        basis = lite.basis_BV.numpy()
        for speaker in sorted({clip.speaker for clip in held_out}):
            frames = frames_of([clip for clip in held_out if clip.speaker == speaker], basis, config)
            print(f"held out, {speaker}: {json.dumps(measure_voice(lite.voice, frames, basis, config.window))}")
    difference = export_onnx(lite, contract(config), args.out, {CONFIG_KEY: json.dumps(config.to_json())})
    print(f"{args.out}: ONNX equals torch to {difference:.1e}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
