"""What TensorBoard can read of a run."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_tasks import TalkTask, quiet

from train.kinds import Options
from train.loop.board import Board, encode, to_bytes
from train.loop.loop import LoopConfig, train_task
from train.loop.task import Evaluation


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def test_a_run_shows_losses_rate_gradients_figures_pictures_and_films(tmp_path: Path) -> None:
    config = LoopConfig(steps=60, learning_rate=1e-3, evaluate_every=30)
    train_task(TalkTask(), config, tmp_path, Options(report=quiet))
    events = read(tmp_path / "board")
    tags = set(events.Tags()["scalars"])
    assert {"model/loss", "model/l1", "model/gradient", "judge/loss", "judge/gradient", "rate", "held out/l1"} <= tags
    assert [event.step for event in events.Scalars("model/loss")] == [50, 60]
    assert [event.step for event in events.Scalars("held out/l1")] == [30, 60]
    picture, film = (events.Images(f"held out/{name}")[-1].encoded_image_string for name in ("mouths", "film"))
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format, image.size) == ("PNG", (8 * 16, 16))
    with Image.open(io.BytesIO(film)) as image:
        assert (image.format, image.size, getattr(image, "n_frames", 1)) == ("GIF", (4 * 16, 16), 2)


def test_a_film_keeps_its_frames_colours_and_speed() -> None:
    film = torch.zeros(2, 5, 3, 8, 6)
    film[0, :, 0] = torch.linspace(0, 1, 5)[:, None, None]
    film[1, :, 2] = 2.0
    laid = to_bytes(film)
    assert laid.shape == (5, 8, 12, 3) and laid.dtype == np.uint8
    assert laid[4, 0, 0].tolist() == [255, 0, 0] and laid[0, 0, 11].tolist() == [0, 0, 255]
    with Image.open(io.BytesIO(encode(laid))) as image:
        assert getattr(image, "n_frames", 1) == 5 and image.info["loop"] == 0
        for index in range(5):
            image.seek(index)
            assert image.info["duration"] == 40
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - laid[index]).max() <= 2
    with pytest.raises(ValueError, match=r"not \(2, 5, 1, 8, 6\)"):
        to_bytes(film[:, :, :1])


def test_a_resumed_run_hides_what_was_drawn_after_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.time()
    for first, values in ((0, range(10)), (5, range(5, 8))):
        # TensorBoard reads files in the order of the seconds in their names: nobody resumes a run within one.
        monkeypatch.setattr(time, "time", lambda now=begun + first: now)
        board = Board(tmp_path, first)
        for step in values:
            board.scalars(step, {"loss": step + 100.0 * first})
        board.evaluation(values[-1], Evaluation({"l1": 0.5}))
        board.close()
    shown = read(tmp_path).Scalars("loss")
    assert [(event.step, event.value) for event in shown] == [
        *((step, step) for step in range(5)),
        *((step, step + 500.0) for step in range(5, 8)),
    ]
