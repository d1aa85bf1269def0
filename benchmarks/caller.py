"""Measure what learning the caller in the call brings: `python -m benchmarks.caller --shards SET=DIR... --out PNG`.

Plays each person's prepared clips one after another as a call: sound and tracked mouths go to `realtime.face.caller`,
as real frames of a call would; the last clips are kept back and judged whenever so much speech was learned from. Clips
are turned round (another one is last), so that few clips give more than one figure. Writes a plot and, beside it, the
figures as JSON.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.callerlayer import CallerLayer, TeachableGenerator
from models.catalog import open_generator
from realtime.face.caller import REACH, Caller, correlation
from train.data.clips import FPS, Clip, Split
from train.data.pool import Pool

MARKS_S: Final = (0, 4, 10, 20, 30, 60, 120)
"""Seconds of speech learned from at which the kept clips are judged."""

_END: Final = 1_000_000
"""Mark of the end of a call, however much was learned."""

_REST: Final = 55  # silent frames after which all that came before was learned from
_BETWEEN_MS: Final = 400.0
_SHARE: Final = 6  # of a person's clips, one in so many is kept back, at least one

Row = dict[str, float]
Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A clip as the caller is learned from it: hidden numbers (T, n), general and seen mouth (T, b), speech (T,)."""

    hidden: Numbers
    told: Numbers
    mouth: Numbers
    speech: NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caller", description=__doc__)
    parser.add_argument("--shards", nargs="+", required=True, metavar="SET=FOLDER", help="people, by set")
    parser.add_argument(
        "--held-out", nargs="*", default=[], metavar="SET", help="sets that were trained on: only clips that were not"
    )
    parser.add_argument("--model", default="lite", help="a generator that can be taught (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=5, help="orders of each person's clips (default: %(default)s)")
    parser.add_argument("--test", type=float, default=0.06, help="share of clips kept for tests in training")
    parser.add_argument("--judge", type=float, default=0.34, help="share of clips kept for the judge in training")
    parser.add_argument("--out", type=Path, required=True, help="PNG or SVG to write; the figures go beside it")
    args = parser.parse_args(arguments)
    generator = open_generator(args.model)
    if not isinstance(generator, TeachableGenerator):
        parser.error(f"{args.model} has no layer for the caller")
    figures: dict[str, dict[str, Row]] = {}
    for entry in args.shards:
        name, _, folder = entry.partition("=")
        trained = name in args.held_out
        split = Split("clip", args.test, args.judge) if trained else Split(test=0.0)
        clips = Pool([Path(folder)], split, ["test", "judge"] if trained else ["train"]).at(0)
        figures[name] = measure(generator, clips, args.turns)
        print(f"{name}: {json.dumps(figures[name])}", flush=True)
    args.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    plot(figures, args.out)
    return 0


def measure(generator: TeachableGenerator, clips: Sequence[Clip], turns: int) -> dict[str, Row]:
    """Return the figures of some people, each counting the same, by seconds learned from.

    `general` and `used` are r of the opening inside speech, by the general layer and by what the call would use, `own`
    by the caller's layer whether it is used or not, `loss` the most that anybody is worse by.
    """
    people: dict[str, list[Said]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.key):
        people[clip.speaker].append(listen(generator, clip))
    silence = generator.hear(np.repeat(generator.hearing.silence, generator.hearing.columns, 1)[None])
    rows: dict[int, list[Row]] = defaultdict(list)
    for said in people.values():
        if len(said) > 1:
            lag = offset(said, generator.opens)
            for mark, row in person(said, Caller((silence[0][0], silence[1][0]), generator.opens), lag, turns).items():
                rows[mark].append(row)
    return {"end" if mark == _END else str(mark): summary(found) for mark, found in sorted(rows.items())}


def listen(generator: TeachableGenerator, clip: Clip) -> Said:
    """Return what the generator hears and what the tracker saw in a clip."""
    heard = generator.hearing.hear(clip.samples.astype(np.float32) / np.float32(32768.0))
    windows = np.stack([generator.hearing.cut(heard, at * 1000.0 / FPS) for at in range(len(clip))])
    mouths = np.stack([generator.mouth(face) for face in clip.landmarks])
    return Said(*generator.hear(windows), mouths, clip.speech)


def person(said: Sequence[Said], caller: Caller, lag: int, turns: int) -> dict[int, Row]:
    """Return the figures of one person, means over turns, as far as all of them got; `lag` is where they are judged."""
    opens = caller.opens
    found: dict[int, list[Row]] = defaultdict(list)
    kept = max(1, len(said) // _SHARE)
    for turn in range(min(turns, len(said))):
        order = [said[(at + turn * max(1, len(said) // turns)) % len(said)] for at in range(len(said))]
        learned, judged = order[:-kept], order[-kept:]
        general, spread = follows(judged, None, opens, lag)
        caller.forget()
        for mark in call(caller, learned):
            used, used_spread = follows(judged, caller.layer, opens, lag)
            own, _ = follows(judged, caller.fitted, opens, lag)
            found[mark].append(
                {"general": general, "used": used, "own": own, "in use": float(caller.layer is not None),
                 "spread": used_spread, "general spread": spread, "lag": float(caller.lag), "learned": caller.learned_s}
            )  # fmt: skip
    return {
        mark: {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        for mark, rows in found.items()
        if len(rows) == len(found[0])
    }


def call(caller: Caller, learned: Sequence[Said]) -> Iterator[int]:
    """Play clips one after another; yield each mark when so much was learned, `_END` last."""
    yield 0
    at_ms, marks = 0.0, list(MARKS_S[1:])
    for clip in learned:
        for hidden, told, mouth, speaks in zip(clip.hidden, clip.told, clip.mouth, clip.speech, strict=True):
            caller.add(at_ms, (hidden, told) if speaks else None, mouth)
            at_ms += 1000.0 / FPS
        at_ms += _BETWEEN_MS
        while marks and caller.learned_s >= marks[0]:
            yield marks.pop(0)
    for _ in range(_REST):
        caller.add(at_ms, None, None)
        at_ms += 1000.0 / FPS
    yield _END


def follows(judged: Sequence[Said], layer: CallerLayer | None, opens: Numbers, lag: int) -> tuple[float, float]:
    """Return r of the opening inside speech and its spread over the real one's, means over clips."""
    found = []
    for clip in judged:
        said = (clip.told if layer is None else layer(clip.hidden, clip.told)) @ opens
        real = clip.mouth @ opens
        inside = np.flatnonzero(clip.speech)
        inside = inside[(inside + lag >= 0) & (inside + lag < len(said))]
        found.append((correlation(said[inside + lag], real[inside]), said[inside + lag].std() / real[inside].std()))
    r, spread = np.mean(found, axis=0)
    return float(r), float(spread)


def offset(said: Sequence[Said], opens: Numbers) -> int:
    """Return how many frames a person's picture comes before its sound, by the general layer."""
    return max(range(-REACH, REACH + 1), key=lambda lag: follows(said, None, opens, lag)[0])


def summary(rows: Sequence[Row]) -> Row:
    """Return the means over people, how many they are, and the most that one of them is worse by."""
    means = {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}
    loss = max(0.0, max(row["general"] - row["used"] for row in rows))
    return {**means, "people": float(len(rows)), "loss": round(loss, 3)}


def plot(figures: Mapping[str, Mapping[str, Row]], out: Path) -> None:
    """Draw r against seconds learned from; dotted the general layer, dashed the own one whether it is used or not."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot(xlabel="seconds of speech learned from", ylabel="r of the opening inside speech")
    for at, (name, rows) in enumerate(figures.items()):
        marks = [row["learned"] for row in rows.values()]
        axes.plot(marks, [row["used"] for row in rows.values()], "o-", color=f"C{at}", label=name)
        axes.plot(marks, [row["own"] for row in rows.values()], "--", color=f"C{at}", linewidth=1.0)
        axes.plot(marks, [row["general"] for row in rows.values()], ":", color=f"C{at}")
    axes.set_xscale("symlog", linthresh=10.0)
    axes.set_xticks(MARKS_S, labels=[str(mark) for mark in MARKS_S])
    axes.set_ylim(0.4, 1.0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
