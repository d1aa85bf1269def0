"""The near-voice network's trainer: `lipline train near`."""

from train.near.command import run

__all__ = ["run"]
