"""What TensorBoard shows of a run: curves, held-out pictures and films."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from train.loop.task import Evaluation

FRAME_MS: Final = 40


class Board:
    """Write TensorBoard's event files of one run. Not thread-safe."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        """Go on in `folder` from `step`; what an earlier part of the run wrote after it is hidden."""
        # TensorBoard takes a second to import.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(folder, purge_step=step or None, flush_secs=30)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curve of every name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Add the figures, pictures and films of an evaluation, all under "held out/"."""
        self.scalars(step, {f"held out/{name}": value for name, value in evaluation.figures.items()})
        for name, pictures in evaluation.pictures.items():
            self._image(f"held out/{name}", pictures, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is not written yet."""
        self._writer.close()

    def _image(self, name: str, pictures: Tensor, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        films = to_bytes(pictures if pictures.dim() == 5 else pictures[:, None])
        image = Summary.Image(height=films.shape[1], width=films.shape[2], colorspace=3)
        image.encoded_image_string = encode(films)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        # SummaryWriter.add_video asks for moviepy and encodes the same GIF.
        self._writer._get_file_writer().add_summary(summary, step)


def to_bytes(films: Tensor) -> NDArray[np.uint8]:
    """Lay films (N, T, 3, H, W), 0..1, side by side: (T, H, N W, 3) uint8.

    Raises:
        ValueError: another shape.
    """
    if films.dim() != 5 or films.shape[2] != 3:
        raise ValueError(f"pictures are (N, 3, H, W) or (N, T, 3, H, W), not {tuple(films.shape)}")
    count, frames, _, height, width = films.shape
    rows = films.detach().float().cpu().clamp(0, 1).permute(1, 3, 0, 4, 2).reshape(frames, height, count * width, 3)
    return (rows * 255.0).round().to(torch.uint8).numpy()


def encode(frames: NDArray[np.uint8]) -> bytes:
    """Return frames (T, H, W, 3) RGB as a PNG when there is one, else as a GIF that repeats at 25 fps."""
    target = io.BytesIO()
    first, *rest = [Image.fromarray(frame) for frame in frames]
    if rest:
        first.save(target, "GIF", save_all=True, append_images=rest, duration=FRAME_MS, loop=0)
    else:
        first.save(target, "PNG")
    return target.getvalue()
