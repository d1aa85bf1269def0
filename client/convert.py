"""`lipline convert`: turn a public PyTorch checkpoint into an ONNX file that a call can use."""

import argparse
import importlib.util
from pathlib import Path

from client.errors import UsageError
from models.errors import ModelError

DESCRIPTION = """\
Turn a PyTorch checkpoint of Wav2Lip into ONNX. The network is recognised by its keys:

  generator   wav2lip.pth, wav2lip_gan.pth: lipline then speaks with it
              inputs mel (N,1,80,16), face (N,6,96,96); output frame (N,3,96,96)
  expert      lipsync_expert.pth: judges how well lips and sound agree
              inputs mel (N,1,80,16), face (N,15,48,96); outputs audio, video (N,512)

Only weights are read, never code. The written file is run against PyTorch on random
inputs and kept only if they agree to 1e-4. Mind the licence of the weights: the public
Wav2Lip checkpoints are for non-commercial use."""

EXAMPLES = """\
examples:
  lipline convert wav2lip_gan.pth wav2lip.onnx
  lipline dub portrait.mp4 speech.wav out.mp4 --model wav2lip.onnx

Needs PyTorch: pip install 'lipline[train]'"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline convert`."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the .pth file, with state_dict or bare")
    parser.add_argument("out", type=Path, metavar="OUT.onnx", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT.onnx when it exists")


def run(args: argparse.Namespace) -> int:
    """Convert `args.checkpoint` to `args.out`, say what was recognised and checked, return 0.

    Raises:
        UsageError: with the reason and the remedy in one line; nothing is written then.
    """
    _check_paths(args.checkpoint, args.out, args.force)
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"convert needs {' and '.join(missing)}: pip install 'lipline[train]'")
    from models.onnx.checkpoint import load_network
    from models.onnx.contract import SYNCNET, WAV2LIP
    from models.onnx.export import export_onnx

    contracts = {contract.kind: contract for contract in (WAV2LIP, SYNCNET)}
    try:
        kind, network = load_network(args.checkpoint)
        if kind.kind not in contracts:
            raise UsageError(
                f"{args.checkpoint} is a {kind.title}, which only training uses: "
                "give the checkpoint of a generator or an expert"
            )
        print(f"{args.checkpoint}: {kind.title}, {sum(p.numel() for p in network.parameters()):,} parameters")
        difference = export_onnx(network, contracts[kind.kind], args.out)
    except ModelError as error:
        raise UsageError(str(error)) from error
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, equals PyTorch to {difference:.1e}")
    return 0


def _check_paths(checkpoint: Path, out: Path, force: bool) -> None:
    if out.suffix.lower() != ".onnx":
        raise UsageError(f"{out} does not end in .onnx: name the output like {out.stem}.onnx")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}: make it first")
    if checkpoint.suffix.lower() == ".onnx":
        raise UsageError(
            f"{checkpoint} is named as ONNX already: give it to --model as it is, or a .pth file to convert"
        )
    if out.exists() and not force:
        raise UsageError(f"{out} exists: choose another name or add --force")
    if not checkpoint.is_file():
        raise UsageError(f"there is no file {checkpoint}: check the path of the checkpoint")
