"""What the student is taught from: each piece of speech as it hears it, and what the teacher heard in it clean.

Both are made once and kept in the run's folder: the teacher hears a whole piece, past and future, without noise; the
student gets the same speech spoilt.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.ears.contract import AFTER, BEFORE
from models.ears.logmel import FLOOR, HOP, WIN, log_mel, whisper_log_mel
from models.ears.whisper import WhisperEncoder
from models.mel import SAMPLE_RATE
from train.data.sounds import Sound
from train.ears.config import SpoiltConfig
from train.ears.spoil import levelled, revoiced, spoilt

_TOGETHER: Final = 64  # pieces made at a time, and kept in one file


class Lessons(NamedTuple):
    """Pieces of T frames each.

    Attributes:
        clean: (M, 80, 2 T + 3) float16, log-mel of the student, two columns before frame 0's own to two after the last.
        spoilt: the same of the spoilt sound.
        taught: (M, T, width) float16, what the teacher heard.
    """

    clean: NDArray[np.float16]
    spoilt: NDArray[np.float16]
    taught: NDArray[np.float16]


def columns_for(sound: Sound, frames: int) -> NDArray[np.float32]:
    """Return the log-mel columns (80, 2 T + 3) of the frames 0 to T - 1 of `sound`; silence lies around it."""
    wanted = 2 * frames - 1 + BEFORE + AFTER
    # The last columns hear the end of the sound, then silence, as those of a stream do.
    mel = log_mel(np.pad(sound, (0, max(0, wanted * HOP + WIN - sound.size))))
    mel = np.pad(mel, ((0, 0), (BEFORE, 0)), constant_values=FLOOR)
    return mel[:, :wanted]


def prepare(
    sounds: Iterator[Sound],
    teacher: WhisperEncoder,
    config: SpoiltConfig,
    folder: Path,
    seed: int,
    report: Callable[[str], None],
    *,
    origin: str,
) -> Lessons:
    """Make what is taught from `sounds`, or read what an earlier start of the same run has made in `folder`.

    What was made there from other sounds, by another teacher or with other settings is removed.

    Args:
        sounds: pieces of one length.
        teacher: who hears them clean.
        config: what is done to them.
        folder: where it is kept.
        seed: of what is done.
        report: takes a line of progress.
        origin: where `sounds` come from; other sounds have another (train.ears.speech.origin_of).

    Raises:
        ValueError: there are no sounds.
        OSError: `folder` cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear_unless(folder, _fingerprint(origin, teacher, config, seed))
    done, whole = [], folder / "complete"
    if not whole.exists():
        group: list[Sound] = []
        for index, sound in enumerate(sounds):
            group.append(sound)
            if len(group) == _TOGETHER:
                _keep(group, teacher, config, folder / f"{index // _TOGETHER:05}.npz", seed)
                report(f"{index + 1} pieces heard by the teacher")
                group = []
        if group:
            _keep(group, teacher, config, folder / "last.npz", seed)
        whole.touch()
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            done.append(Lessons(*(arrays[name] for name in Lessons._fields)))
    if not done:
        raise ValueError("there is no speech to learn from: check speech.folders")
    return Lessons(*(np.concatenate(parts) for parts in zip(*done, strict=True)))


def _fingerprint(origin: str, teacher: WhisperEncoder, config: SpoiltConfig, seed: int) -> str:
    """Return a digest of all that decides what is made."""
    digest = hashlib.sha256(json.dumps([origin, config.model_dump(), seed]).encode())
    for weight in teacher.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    return digest.hexdigest()


def _clear_unless(folder: Path, fingerprint: str) -> None:
    """Empty `folder` of what was made with another fingerprint, and leave this one."""
    known = folder / "fingerprint"
    if known.exists() and known.read_text(encoding="utf-8") == fingerprint:
        return
    known.unlink(missing_ok=True)
    (folder / "complete").unlink(missing_ok=True)
    for path in (*folder.glob("*.npz"), *folder.glob("*.draft")):
        path.unlink()
    known.write_text(fingerprint, encoding="utf-8")


def _keep(group: Sequence[Sound], teacher: WhisperEncoder, config: SpoiltConfig, path: Path, seed: int) -> None:
    if path.exists():
        return
    rng = np.random.default_rng((seed, int.from_bytes(path.stem.encode()[-4:], "big")))
    made = [
        _made(sound, group, teacher, config, rng, rendition)
        for rendition in range(config.renditions)
        for sound in group
    ]
    lessons = Lessons(*(np.stack(part) for part in zip(*made, strict=True)))
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        np.savez(file, clean=lessons.clean, spoilt=lessons.spoilt, taught=lessons.taught)
    draft.replace(path)


def _made(
    sound: Sound,
    others: Sequence[Sound],
    teacher: WhisperEncoder,
    config: SpoiltConfig,
    rng: np.random.Generator,
    at: int,
) -> Lessons:
    """Return one piece, in its own voice or (`at` > 0) in another."""
    samples = sound.size
    if at:
        factor = float(np.exp(rng.uniform(-1.0, 1.0) * np.log(config.voice)))
        sound = np.resize(revoiced(sound, factor), samples)
    sound = levelled(sound)
    frames = samples * 50 // SAMPLE_RATE
    with torch.no_grad():
        mel = torch.from_numpy(whisper_log_mel(sound))[None, :, : 2 * frames]
        taught = teacher(mel)[0].numpy()
    clean, heard = (columns_for(one, frames).astype(np.float16) for one in (sound, spoilt(sound, others, config, rng)))
    return Lessons(clean, heard, taught.astype(np.float16))
