"""The trainer of the lite generator: `lipline train lite`. See docs/design/models.md."""

from train.lite.command import run

__all__ = ["run"]
