"""The trainer that teaches ears and a voice on them together: `lipline train mouth`. See docs/design/ears.md."""

from train.mouth.command import run

__all__ = ["run"]
