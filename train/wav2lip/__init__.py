"""The published Wav2Lip recipe (Prajwal et al. 2020) on prepared shards: `lipline train wav2lip`."""

from train.wav2lip.command import run

__all__ = ["run"]
