"""What an expert was trained on, kept in its file, so that all else is known to be new to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.errors import ModelError
from train.data.clips import Role, Split

TRAINED_KEY: Final = "lipline.trained"
"""Metadata property that holds an Origin as JSON."""

SEEN, UNSEEN, TRAINING = "seen speakers, held-out clips", "unseen speakers", "training clips"


@dataclass(frozen=True, slots=True)
class Origin:
    """What an expert was trained on.

    Attributes:
        split: of its clips.
        speakers: who was seen; empty where the split is by speaker and says so itself.
    """

    split: Split
    speakers: frozenset[str]

    @property
    def role(self) -> Role:
        """The role of the clips that it was trained on."""
        return "judge" if self.split.judge > 0 else "train"

    def metadata(self) -> dict[str, str]:
        """Return the metadata property that `of` reads."""
        split = self.split
        # Where a split keeps whole speakers, a corpus may have thousands of them.
        names = sorted(self.speakers) if split.by == "clip" else []
        told = {"by": split.by, "test": split.test, "judge": split.judge, "speakers": names}
        return {TRAINED_KEY: json.dumps(told)}

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "Origin":
        """Read it from an ONNX file's metadata.

        Raises:
            ModelError: the file does not say.
        """
        try:
            told = json.loads(metadata[TRAINED_KEY])
            split = Split(told["by"], float(told["test"]), float(told["judge"]))
            return cls(split, frozenset(told["speakers"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"the file's {TRAINED_KEY} does not say what it was trained on: give one of `lipline train expert`"
            ) from error

    def group(self, speaker: str, source: str) -> str | None:
        """Return the group that a clip is measured in; None for clips that another network trains on."""
        role = self.split.role(speaker, source)
        if self.split.by == "speaker":
            return {self.role: TRAINING, "test": UNSEEN}.get(role)
        if speaker not in self.speakers:
            return UNSEEN
        return {self.role: TRAINING, "test": SEEN}.get(role)
