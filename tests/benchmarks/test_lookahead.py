"""The plot of accuracy against lookahead, from a tiny run."""

import json
from pathlib import Path

import cv2

from benchmarks.lookahead import main
from tests.train.lite.planted_mouths import as_sample, planted_clip
from train.data.shards import ShardWriter


def test_every_lookahead_is_trained_measured_and_drawn(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards", "planted") as writer:
        for seed in range(4):
            writer.write(as_sample(planted_clip(f"c{seed}", seed=seed)))
    config = tmp_path / "tiny.toml"
    config.write_text(
        "[data]\nby = 'clip'\ntest = 0.5\n[model]\nwidth = 8\ncoefficients = 3\n"
        "[voice]\nbatch = 2\n[voice.loop]\nsteps = 2\n"
    )
    command = ["--config", str(config), "--shards", str(tmp_path / "shards"), "--run", str(tmp_path / "run")]
    assert main([*command, "--out", str(tmp_path / "plot.png"), "--ms", "0", "120"]) == 0
    figures = json.loads((tmp_path / "plot.json").read_text())
    assert list(figures) == ["0.0", "120.0"]
    # The control hears the same columns whatever the window, so it cannot depend on the lookahead.
    first, last = (row["held out"] for row in figures.values())
    assert abs(first["loudness"] - last["loudness"]) < 0.15
    plot = cv2.imread(str(tmp_path / "plot.png"))
    assert plot is not None
    assert plot.shape[1] > 600
