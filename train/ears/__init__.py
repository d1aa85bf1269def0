"""The trainer of the hearing network: `lipline train ears`. See docs/design/ears.md."""

from train.ears.command import run

__all__ = ["run"]
