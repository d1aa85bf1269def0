"""Measure what lookahead buys: `python -m benchmarks.lookahead --config FILE --shards DIR... --run DIR --out FILE.png`.

Trains the voice alone once per lookahead, each time with the same steps, seed and clips, and measures the lip gap
inside held-out speech. Writes a plot and, beside it, the figures as JSON; a run that was stopped goes on.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from models.ears.onnx import Ears
from models.lite.contract import LiteConfig
from models.lite.network import Lite
from train.config import read_config
from train.data.clips import Clip, Split
from train.data.pool import Pool
from train.lite.basis import fit_basis
from train.lite.command import read_ears, read_held_out
from train.lite.config import LiteTraining
from train.lite.heard import ClipHearing
from train.lite.lip_gap import measure_speakers
from train.lite.voice import VoiceAndCurves, VoiceTask, set_gain, set_range
from train.loop.loop import train_task

Row = dict[str, float]
"""Figures by name (train.lite.lip_gap.Hearing)."""

LOOKAHEADS_MS = (0.0, 40.0, 80.0, 120.0, 160.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookahead", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="as for `lipline train lite`")
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="folders that `lipline prepare` wrote")
    parser.add_argument("--unseen", type=Path, nargs="*", default=[], help="shards of speakers never trained on")
    parser.add_argument("--run", type=Path, required=True, help="folder of the runs; resumed when it exists")
    parser.add_argument("--out", type=Path, required=True, help="PNG or SVG to write; the figures go beside it")
    parser.add_argument("--ms", type=float, nargs="+", default=LOOKAHEADS_MS, help="lookaheads (default: %(default)s)")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="replace entries of the configuration"
    )
    args = parser.parse_args(arguments)
    figures: dict[float, dict[str, Row]] = {}
    unseen = list(Pool(args.unseen, Split(test=0.0), ["train"]).at(0)) if args.unseen else []
    for lookahead_ms in args.ms:
        changes = (*args.set, f"model.lookahead_ms={lookahead_ms}")
        chosen = read_config(args.config, LiteTraining, changes)
        figures[lookahead_ms] = hearing_at(chosen, args.shards, unseen, args.run / f"{lookahead_ms:g}ms")
        print(f"{lookahead_ms:g} ms: {json.dumps(figures[lookahead_ms])}", flush=True)
    args.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    plot(figures, args.out)
    return 0


def hearing_at(chosen: LiteTraining, shards: Sequence[Path], unseen: Sequence[Clip], run: Path) -> dict[str, Row]:
    """Train a voice as `chosen` says; return its figures on clips "held out" and on "unseen" speakers."""
    torch.manual_seed(1)
    pool, held_out = chosen.data.pool(shards, "train", 1), read_held_out(chosen.data, shards, chosen.held_out)
    lite = Lite(chosen.model.lite)
    lite.basis_BV.copy_(torch.from_numpy(fit_basis(pool.at(0), lite.config.coefficients)))
    hearing = ClipHearing.of(Ears(read_ears(chosen)), lite.config, chosen.voice.spoilt)
    set_range(lite.voice, pool.at(0), hearing)
    task = VoiceTask(lite, pool, pool.at(0), held_out, chosen.voice, hearing)
    trained = train_task(task, chosen.voice.loop, run, settings={"lookahead_ms": chosen.model.lookahead_ms})
    assert isinstance(trained, VoiceAndCurves)
    lite.voice.load_state_dict(trained.voice.state_dict())
    set_gain(lite.eval(), pool.at(0), hearing)
    groups = {"held out": held_out, "unseen": unseen}
    return {
        name: measure_speakers(lite.voice, clips, lite.basis_BV.numpy(), hearing)
        for name, clips in groups.items()
        if clips
    }


def plot(figures: Mapping[float, Mapping[str, Row]], out: Path) -> None:
    """Draw correlation against lookahead (ms), with the loudness control."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot(xlabel="lookahead, ms", ylabel="r of the lip gap inside speech")
    for name, colour, title in (("held out", "C0", "held-out clips"), ("unseen", "C1", "unseen speakers")):
        points = {at: rows[name] for at, rows in figures.items() if name in rows}
        for measured, style in (("correlation", "o-"), ("loudness", ":")):
            heights = [row[measured] for row in points.values()]
            label = title if measured == "correlation" else f"{title}, loudness alone"
            axes.plot(list(points), heights, style, color=colour, label=label)
    axes.axvline(LiteConfig().lookahead_ms, color="0.7", linewidth=1.0, zorder=0)
    axes.set_ylim(0.0, 1.0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
