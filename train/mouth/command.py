"""What `lipline train mouth` does: label all speech, teach ears and voice together, write both."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.ears.export import export_ears
from models.ears.onnx import Ears
from models.ears.whisper import WhisperEncoder, load_whisper
from models.lite.contract import LiteConfig
from models.lite.network import Lite
from models.lite.voice import VoiceNetwork
from train.config import read_config
from train.data.clips import Clip
from train.data.pool import ClipSource
from train.ears.command import Taught, read_taught
from train.ears.config import EarsTraining
from train.ears.task import EarsTask
from train.kinds import Options
from train.lite.basis import fit_basis
from train.lite.command import read_held_out
from train.lite.heard import ClipHearing
from train.lite.voice import VoiceAndCurves, VoiceTask, set_range, spread_of
from train.lite.voicefile import save_voice, voice_path
from train.loop.checkpoint import read_average
from train.loop.loop import train_task
from train.mouth.config import MouthTraining
from train.mouth.lessons import TeacherHearing, film, label
from train.mouth.task import Mouths, MouthStudent, MouthTask

_FIRST: Final = "first-voice"
_SHARES: Final = {"label": 0.1, _FIRST: 0.05, "together": 0.75}
"""Of a time budget; the rest is preparation."""

_HELD_OUT: Final = 80  # clips of an evaluation at most


@dataclass(frozen=True, slots=True)
class _Filmed:
    """Clips in memory, as a source of training, and what is known of all of them."""

    clips: Sequence[Clip]
    held_out: Sequence[Clip]
    basis: NDArray[np.float32]

    def at(self, step: int) -> Sequence[Clip]:
        """Return the clips, the same for every step."""
        return self.clips


def run(config: Path, shards: Sequence[Path], folder: Path, out: Path, options: Options) -> int:
    """Train by `config` on `shards` and write a hearing network to `out` and its voice beside it; see train.kinds.

    Every stage has a folder of its own in `folder`; one that is complete is passed over when the run is resumed.

    Raises:
        ValueError: what the user can mend, with the remedy.
        OSError: `out` or `folder` cannot be written.
    """
    chosen = read_config(config, MouthTraining, options.changes)
    ears_config = read_config(chosen.ears, EarsTraining)
    teacher = load_whisper(ears_config.teacher)
    speech = read_taught(ears_config, (), teacher, chosen.ears_run, options)
    filmed = _read_clips(chosen, shards, options)
    labels = _label(chosen, teacher, filmed, speech, folder, options)
    student = MouthStudent(teacher, ears_config, replace(chosen.model.lite, heard=teacher.width))
    _begin(student, chosen, filmed, folder, options)
    task = _task(student, chosen, ears_config, speech, filmed, labels, options)
    trained = train_task(task, chosen.loop, folder / "together", _part(options, "together"), chosen.settings())
    if options.first:
        assert isinstance(trained, MouthStudent)
        lite = replace(chosen.model.lite, heard=teacher.width)
        difference = export_ears(trained.ears.cpu(), out)
        save_voice(trained.voice, torch.from_numpy(filmed.basis), lite, voice_path(out))
        options.report(f"wrote {out.name}, within {difference:.1g} of the trained network, and {voice_path(out).name}")
    return 0


def _part(options: Options, stage: str) -> Options:
    budget_s = None if options.time_budget_s is None else options.time_budget_s * _SHARES[stage]
    return replace(options, time_budget_s=budget_s)


def _read_clips(chosen: MouthTraining, shards: Sequence[Path], options: Options) -> _Filmed:
    pool = chosen.data.pool(shards, "train", options.seed)
    clips = list(pool.at(0))
    some = clips[:: -(-len(clips) // chosen.most)]
    options.report(f"{len(some)} of {pool.count} clips to learn mouths from")
    held_out = read_held_out(chosen.data, shards, _HELD_OUT)
    return _Filmed(some, held_out, fit_basis(some, chosen.model.coefficients))


def _voice(
    lite: LiteConfig, filmed: _Filmed, hearing: ClipHearing, chosen: MouthTraining, folder: Path, options: Options
) -> VoiceNetwork:
    """Train a voice on `hearing`."""
    network = Lite(lite)
    network.basis_BV.copy_(torch.from_numpy(filmed.basis))
    set_range(network.voice, filmed.clips, hearing)
    source: ClipSource = filmed
    task = VoiceTask(network, source, filmed.clips, filmed.held_out, chosen.voice, hearing, options.seed)
    trained = train_task(task, chosen.voice.loop, folder, options, chosen.voice.settings())
    assert isinstance(trained, VoiceAndCurves)
    return trained.voice.cpu().eval()


def _label(
    chosen: MouthTraining, teacher: WhisperEncoder, filmed: _Filmed, speech: Taught, folder: Path, options: Options
) -> NDArray[np.float32]:
    """Return the labels of all speech (train.mouth.lessons.label), made once and kept in `folder`."""
    kept = folder / "labels.npz"
    if kept.exists():
        with np.load(kept, allow_pickle=False) as arrays:
            labels, basis = arrays["labels"], arrays["basis"]
        if len(labels) == len(speech.heard.taught) and np.array_equal(basis, filmed.basis):
            return np.asarray(labels, np.float32)
    options.report("voices on the teacher's hearing, which label all speech")
    hearing = TeacherHearing.of(teacher)
    lite = replace(chosen.model.lite, heard=teacher.width, columns=hearing.columns)
    # The teacher hears clean speech; other voices make it general.
    clean = chosen.spoilt.model_copy(update={"room": 0.0, "microphone": 0.0, "noise": 0.0, "codec": 0.0})
    part = _part(options, "label")
    voices = [
        _voice(
            lite,
            filmed,
            ClipHearing(hearing, clean, options.seed),
            chosen,
            folder / f"labeller-{at}",
            replace(part, seed=options.seed + at),
        )
        for at in range(chosen.labellers)
    ]
    labels = label(voices, hearing, speech.heard.taught, options.report)
    draft = kept.with_suffix(".draft")
    with draft.open("wb") as file:
        np.savez(file, labels=labels, basis=filmed.basis)
    draft.replace(kept)
    return labels


def _begin(student: MouthStudent, chosen: MouthTraining, filmed: _Filmed, folder: Path, options: Options) -> None:
    """Give `student` the ears that were learned alone, and a voice that was trained on them."""
    student.load_state_dict(read_average(chosen.ears_run), strict=False)
    options.report("a first voice on the ears")
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / "ears.onnx"
        export_ears(student.ears, draft)
        hearing = ClipHearing.of(Ears(draft), student.lite, chosen.spoilt, options.seed)
        voice = _voice(student.lite, filmed, hearing, chosen, folder / _FIRST, _part(options, _FIRST))
    student.voice.load_state_dict(voice.state_dict())
    student.train()


def _task(
    student: MouthStudent,
    chosen: MouthTraining,
    ears_config: EarsTraining,
    speech: Taught,
    filmed: _Filmed,
    labels: NDArray[np.float32],
    options: Options,
) -> MouthTask:
    ears = EarsTask(student, speech.heard, speech.held_out, ears_config, options.seed)
    hearings = film(filmed.clips, filmed.basis, chosen.frames, chosen.spoilt, options.seed)
    options.report("ears and voice together")
    spread = spread_of(filmed.clips, filmed.basis)
    mouths = Mouths(labels, filmed.clips, hearings, filmed.basis, spread)
    return MouthTask(student, ears, speech.heard, mouths, ears_config, chosen, options.seed)
