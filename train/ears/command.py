"""What `lipline train ears` does: let the teacher hear, teach the student, write ONNX."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from models.ears.export import export_ears
from models.ears.whisper import WhisperEncoder, load_whisper
from train.config import read_config
from train.data.clips import Role
from train.ears.config import EarsTraining, SpoiltConfig
from train.ears.heard import Lessons, prepare
from train.ears.speech import origin_of, pieces
from train.ears.task import EarsStudent, EarsTask
from train.kinds import Options
from train.loop.loop import train_task


class Taught(NamedTuple):
    """What a run is taught from, and what it is measured on."""

    heard: Lessons
    held_out: Lessons


def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Train by `config` on speech without pictures and write a hearing network to `out`; see train.kinds.

    `shards`, if any, are folders of recordings beside those of the configuration.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `folder` cannot be written.
    """
    chosen = read_config(config, EarsTraining, options.changes)
    teacher = load_whisper(chosen.teacher)
    heard, held_out = read_taught(chosen, shards, teacher, folder, options)
    task = EarsTask(EarsStudent(teacher, chosen), heard, held_out, chosen, options.seed)
    trained = train_task(task, chosen.loop, folder, options, chosen.settings())
    if options.first:
        assert isinstance(trained, EarsStudent)
        difference = export_ears(trained.ears.cpu(), out)
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network")
    return 0


def read_taught(
    chosen: EarsTraining, shards: Sequence[Path], teacher: WhisperEncoder, folder: Path, options: Options
) -> Taught:
    """Let `teacher` hear all speech, or read what an earlier start of the run in `folder` has kept.

    Raises:
        ValueError: there is no speech, with the remedy.
        OSError: `folder` cannot be written.
    """
    speech = chosen.speech.model_copy(update={"folders": (*chosen.speech.folders, *shards)})
    once = chosen.spoilt.model_copy(update={"renditions": 1})

    def part(name: str, role: Role, most: int | None, spoilt: SpoiltConfig) -> Lessons:
        sounds, origin = islice(pieces(speech, role), most), origin_of(speech, role, most)
        return prepare(sounds, teacher, spoilt, folder / name, options.seed, options.report, origin=origin)

    heard = part("heard", "train", None, chosen.spoilt)
    held_out = part("held-out", "test", speech.held_out, once)
    minutes = heard.taught.shape[0] * heard.taught.shape[1] / 3000.0
    options.report(f"{len(heard.taught)} pieces of speech, {minutes:.0f} minutes; {len(held_out.taught)} held out")
    return Taught(heard, held_out)
