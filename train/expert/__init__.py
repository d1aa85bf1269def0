"""The lip-sync expert's trainer: `lipline train expert`."""

from train.expert.command import run

__all__ = ["run"]
