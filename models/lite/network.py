"""Lite: a generator that moves the caller's own pixels instead of painting a mouth.

Small networks and a warp between them:

1. `VoiceNetwork` takes what the ears hear (models.ears) and tells the mouth shape, as coefficients of a basis of lip
   and jaw motion.
2. `Warp` turns the shape into a smooth flow that brings every source picture (the pose frame and references with other
   mouth openings) to that shape.
3. `Encoder` has seen every source once, when it was stored. `Picture` looks at its warped features, refines the flow by
   a few px, chooses per pixel among the sources, and adds a small bounded residual where no source has what is needed.

Because the picture network is told the shape, it has nothing to guess and need not blur; because the shape network
works on geometry, little data goes a long way. Pictures are BGR 0..1.

Shape suffixes: N batch, K sources, P points, C channels, H W the mouth region, h w the same at half the resolution, S
the aligned crop, G the pixels of its half resolution.
"""

import torch
from torch import Tensor, nn

from models.lite.contract import GAP, POINTS, LiteConfig
from models.lite.painter import Painter
from models.lite.voice import VoiceNetwork

CLOSED_GAP = 0.01
"""Gap that FaceMesh sees between closed lips, in eye distances."""


class Lite(nn.Module):
    """Join voice and painter. What is exported: this without its voice, the voice, and the painter's encoder."""

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        self.config = config or LiteConfig()
        self.voice = VoiceNetwork(self.config)
        self.painter = Painter(self.config)
        self.basis_BV: Tensor
        self.register_buffer("basis_BV", torch.zeros(self.config.coefficients, len(POINTS) * 2))

    def shape(self, told_NB: Tensor, pose_NP2: Tensor, neutral_NP2: Tensor) -> Tensor:
        """Return the pose's shape with its speech replaced by the coefficients `told`.

        What the basis cannot express (identity, turn of the head) stays as the pose has it.
        """
        shown_NB = (pose_NP2 - self.close(neutral_NP2)).flatten(1) @ self.basis_BV.T
        shape: Tensor = pose_NP2 + ((told_NB - shown_NB) @ self.basis_BV).reshape(pose_NP2.shape)
        return shape

    def close(self, shape_NP2: Tensor) -> Tensor:
        """Shut the lips of a shape that is not quite closed, by the least motion that the basis has for it."""
        upper, lower = GAP
        table = self.basis_BV.reshape(self.config.coefficients, -1, 2)
        gap_B = table[:, lower, 1] - table[:, upper, 1]
        excess = (shape_NP2[:, lower, 1] - shape_NP2[:, upper, 1] - CLOSED_GAP).clamp(min=0.0)
        least_V = (gap_B @ self.basis_BV) / (gap_B @ gap_B).clamp(min=1e-6)
        return shape_NP2 - (excess[:, None] * least_V).reshape(shape_NP2.shape)

    def forward(
        self, told_NB: Tensor, features_NKGC: Tensor, shapes_NKP2: Tensor, neutral_NP2: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw what the voice told: source 0 is the pose frame, `neutral` this person's shape with the mouth closed.

        Returns the shape, and flow, weights and residual as in `Drawing`, but flow as shares of the crop, so that it
        holds at any resolution.
        """
        target = self.shape(told_NB, shapes_NKP2[:, 0], neutral_NP2)
        drawing = self.painter.draw(target, features_NKGC, shapes_NKP2)
        return target, drawing.flow_NK2hw / self.config.size, drawing.weights_NKhw, drawing.residual_N3hw
