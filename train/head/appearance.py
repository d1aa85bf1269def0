"""What one rendered person looks like, as a small set of numbers.

Lengths are in face units: 1 is half the face's width at the cheekbones, y points down and 0 is the line of the eyes.
Colours are sRGB, written (B, G, R) in 0..1 as OpenCV has them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

Colour = tuple[float, float, float]

HAIR_STYLES: Final = ("short", "side", "crop", "curly", "bob", "long", "bun", "bald")
BEARDS: Final = ("none", "stubble", "short", "moustache")
CLOTHES: Final = ("crew", "shirt", "vneck")

_SKINS: Final[tuple[Colour, ...]] = (
    (0.71, 0.79, 0.93), (0.67, 0.76, 0.91), (0.60, 0.70, 0.87), (0.52, 0.63, 0.80),
    (0.44, 0.55, 0.72), (0.36, 0.46, 0.62), (0.29, 0.37, 0.51), (0.24, 0.30, 0.42),
)  # fmt: skip
_HAIRS: Final[tuple[Colour, ...]] = (
    (0.10, 0.11, 0.13), (0.13, 0.17, 0.23), (0.16, 0.25, 0.37), (0.22, 0.38, 0.55),
    (0.38, 0.60, 0.80), (0.15, 0.29, 0.58), (0.62, 0.64, 0.66),
)  # fmt: skip
_IRISES: Final[tuple[Colour, ...]] = (
    (0.12, 0.22, 0.36), (0.18, 0.34, 0.50), (0.30, 0.46, 0.36), (0.62, 0.50, 0.34), (0.54, 0.52, 0.46),
)  # fmt: skip
_CLOTH_COLOURS: Final[tuple[Colour, ...]] = (
    (0.45, 0.30, 0.20), (0.30, 0.42, 0.26), (0.28, 0.26, 0.55), (0.62, 0.55, 0.48), (0.20, 0.20, 0.22),
    (0.78, 0.76, 0.72), (0.30, 0.50, 0.68), (0.48, 0.34, 0.44),
)  # fmt: skip
_WALLS: Final[tuple[Colour, ...]] = (
    (0.72, 0.76, 0.80), (0.62, 0.66, 0.64), (0.70, 0.64, 0.56), (0.55, 0.62, 0.72), (0.60, 0.56, 0.60),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Appearance:
    """The looks of one person; hashable, so that what is painted once can be cached.

    Attributes:
        seed: drives skin mottling, hair strands and the room behind.
        skin, hair, iris, cloth, wall: base colours.
        lip: blend from skin (0) to red (1) of the lips.
        length: length of the lower face, 0.94..1.06.
        jaw: width of the jaw, 0.92..1.06.
        cheek: fullness of the cheeks, 0..1.
        eye_size, eye_spacing: 0.92..1.12 of the average.
        nose_width, nose_length: 0.88..1.15 of the average.
        mouth_width: 0.9..1.12 of the average.
        lip_full: thickness of the lips, 0.75..1.35.
        brow_height, brow_weight, brow_tilt: eyebrows; 0..1, 0.7..1.4, -1..1.
        hair_style: one of HAIR_STYLES; hair_part: place of the parting, -1..1.
        beard: one of BEARDS.
        age: strength of lines, 0..1.
        freckles: 0..1.
        glasses: whether to wear glasses.
        clothes: one of CLOTHES.
        light: place of the key light, -1 (image left) .. 1; warmth: colour of it, -1 cool .. 1 warm.
        teeth: lightness of the teeth, 0..1.
    """

    seed: int
    skin: Colour
    hair: Colour
    iris: Colour
    cloth: Colour
    wall: Colour
    lip: float = 0.5
    length: float = 1.0
    jaw: float = 1.0
    cheek: float = 0.5
    eye_size: float = 1.0
    eye_spacing: float = 1.0
    nose_width: float = 1.0
    nose_length: float = 1.0
    mouth_width: float = 1.0
    lip_full: float = 1.0
    brow_height: float = 0.5
    brow_weight: float = 1.0
    brow_tilt: float = 0.0
    hair_style: str = "short"
    hair_part: float = -0.4
    beard: str = "none"
    age: float = 0.2
    freckles: float = 0.0
    glasses: bool = False
    clothes: str = "crew"
    light: float = -0.5
    warmth: float = 0.2
    teeth: float = 0.8

    @property
    def eye_x(self) -> float:
        """Distance of an eye's centre from the midline."""
        return 0.425 * self.eye_spacing

    @property
    def eye_half(self) -> float:
        """Half the width of an eye."""
        return 0.222 * self.eye_size

    @property
    def eye_distance(self) -> float:
        """Distance of the outer eye corners."""
        return 2 * (self.eye_x + self.eye_half)

    @property
    def nose_y(self) -> float:
        """Height of the base of the nose."""
        return 0.60 * self.nose_length * (0.5 + 0.5 * self.length)

    @property
    def chin_y(self) -> float:
        """Height of the chin's lowest point, mouth closed."""
        return 1.45 * self.length

    @property
    def mouth_y(self) -> float:
        """Height of the line between closed lips."""
        return self.nose_y + 0.365 * (self.chin_y - self.nose_y)


def random_face(seed: int) -> Appearance:
    """Draw a person; the same seed gives the same person, different seeds clearly different ones."""
    rng = np.random.default_rng((seed, 0xFACE))

    def near(low: float, high: float) -> float:
        return float(low + (high - low) * rng.beta(2.0, 2.0))

    def pick(options: tuple[Colour, ...], weights: list[float] | None = None) -> Colour:
        share = None if weights is None else np.asarray(weights) / sum(weights)
        base = options[int(rng.choice(len(options), p=share))]
        tone = near(0.94, 1.06)
        blue, green, red = (float(np.clip(value * tone * near(0.975, 1.025), 0.03, 0.97)) for value in base)
        return blue, green, red

    depth = int(rng.integers(len(_SKINS)))
    light_hair = 1.0 if depth < 4 else 0.08
    skin = pick(_SKINS[depth : depth + 1])
    style = str(rng.choice(HAIR_STYLES, p=[0.2, 0.19, 0.1, 0.13, 0.13, 0.13, 0.08, 0.04]))
    bearded = style in ("short", "side", "crop", "curly", "bald") and rng.random() < 0.5
    age = float(rng.beta(1.4, 2.6))
    return Appearance(
        seed=seed,
        skin=skin,
        hair=pick(
            _HAIRS, [1.0, 1.2, 1.0, 0.8 * light_hair, 0.6 * light_hair, 0.4 * light_hair, 0.15 + 0.8 * age * age]
        ),
        iris=pick(_IRISES, [1.5, 1.0, 0.7 * light_hair, 0.8 * light_hair, 0.5 * light_hair]),
        cloth=pick(_CLOTH_COLOURS),
        wall=pick(_WALLS),
        lip=near(0.5, 0.85) if bearded else near(0.3, 0.95),
        length=near(0.94, 1.06),
        jaw=near(0.96, 1.06) if bearded else near(0.94, 1.06),
        cheek=near(0.0, 1.0),
        eye_size=near(0.92, 1.14),
        eye_spacing=near(0.94, 1.06),
        nose_width=near(0.86, 1.18),
        nose_length=near(0.93, 1.07),
        mouth_width=near(0.9, 1.12),
        lip_full=near(0.75, 1.35),
        brow_height=near(0.0, 1.0),
        brow_weight=near(0.9, 1.5) if bearded else near(0.6, 1.3),
        brow_tilt=near(-1.0, 1.0),
        hair_style=style,
        hair_part=float(rng.uniform(-0.7, 0.7)),
        beard=str(rng.choice(BEARDS[1:])) if bearded else "none",
        age=age,
        freckles=float(rng.random() < 0.25) * near(0.3, 1.0),
        glasses=bool(rng.random() < 0.22),
        clothes=str(rng.choice(CLOTHES)),
        light=float(rng.choice([-1.0, 1.0])) * near(0.25, 0.9),
        warmth=near(-0.8, 1.0),
        teeth=near(0.6, 0.95),
    )
