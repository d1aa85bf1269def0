"""A whole talking-head clip: frames, speech and the truth about both.

Run as a command to write a clip and its ground truth (FILE with the suffix .json)::

    python -m train.head.clip --out FILE.mp4 --seed N [--text TEXT] [--voice en] [--duration S] [--size 640x480]

The bundled caller is made by `python -m train.head.clip --bundled` (needs espeak-ng; writes client/assets/caller.mp4
and caller.json; the same versions of espeak-ng, x264 and this package give the same picture and sound).
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from train.head.appearance import Appearance, random_face
from train.head.lips import true_opening
from train.head.pose import Motion, MouthAndPose
from train.head.render import render
from train.head.speech import SpeechVoice, SpokenText, speak
from train.head.visemes import MouthTrack

BUNDLED: Final = Path(__file__).resolve().parents[2] / "client" / "assets" / "caller.mp4"
BUNDLED_SEED: Final = 18
BUNDLED_VOICE: Final = SpeechVoice("en+f3", 171, 42, 62)
BUNDLED_SECONDS: Final = 24.0
BUNDLED_TEXT: Final = (
    "Hi, it's me, I'm on the evening train, somewhere between the valley and the coast. "
    "The view is lovely, but the reception comes and goes, so forgive me if the picture stops for a moment. "
    '<break time="1000ms"/> '
    "We left about five minutes late, but we should make up most of it before the big bridge. "
    "I found a place by the window, with a very good cup of coffee. "
    "Would you please meet me at the front, near the flower shop?"
)
LICENCE: Final = (
    "Rendered by lipline's own code (Apache-2.0); shows no real person. Text by the lipline authors (Apache-2.0). "
    "Speech synthesised with espeak-ng (GPL-3.0-or-later program; its audio output is not a derived work of it)."
)
_AUDIO_RATE: Final = 48_000
_LEAD_MS: Final = 240.0
"""Silence before the first word, so that a clip begins with a mouth at rest."""


@dataclass(frozen=True)
class HeadClip:
    """A clip that is rendered as it is read.

    Attributes:
        face: who speaks.
        speech: mono float32 at 48 kHz, as long as the frames.
        fps: frames per second.
        size: (width, height) in px.
        poses: mouth and head of every frame; frame i belongs to i / fps seconds.
        seed: what the face and the motion were drawn from.
    """

    face: Appearance
    speech: SpokenText
    fps: int
    size: tuple[int, int]
    poses: tuple[MouthAndPose, ...]
    seed: int
    made_from: dict[str, Any] = field(default_factory=dict)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Render the frames in order, (height, width, 3) uint8 BGR."""
        for pose in self.poses:
            yield render(self.face, pose, self.size)

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as JSON-ready values: ms, degrees, openings over the eye distance."""
        return {
            "seed": self.seed,
            "fps": self.fps,
            "size": list(self.size),
            "frames": len(self.poses),
            "duration_ms": round(self.speech.duration_ms, 3),
            "licence": LICENCE,
            **self.made_from,
            "face": asdict(self.face),
            "phonemes": [[p.symbol, round(p.start_ms, 1), round(p.end_ms, 1)] for p in self.speech.phonemes],
            "mouth_opening": [round(true_opening(self.face, pose.mouth), 4) for pose in self.poses],
            "mouth": _columns([asdict(pose.mouth) for pose in self.poses]),
            "head": _columns([asdict(pose.head) for pose in self.poses]),
        }


def render_clip(
    face: Appearance,
    speech: SpokenText,
    *,
    seed: int = 0,
    fps: int = 25,
    size: tuple[int, int] = (640, 480),
    duration_s: float | None = None,
    motion: float = 1.0,
) -> HeadClip:
    """Let a face say a speech.

    Args:
        face: who speaks.
        speech: what is said, from `train.head.speech.speak` (any sample rate).
        seed: draws the head's motion, blinks and the strength of each vowel.
        fps: frames per second.
        size: (width, height) in px.
        duration_s: length of the clip; the speech is cut or followed by silence. Without it, as long as the speech.
        motion: how much the head moves, 1 is a calm caller, 0 keeps it still but for blinks.

    Returns:
        The clip; frames are rendered when they are read.
    """
    wide = speech.resampled(_AUDIO_RATE)
    count = max(int(np.ceil((duration_s if duration_s is not None else wide.duration_ms / 1000.0) * fps - 1e-6)), 1)
    wanted = round(count * _AUDIO_RATE / fps)
    samples = np.zeros(wanted, np.float32)
    kept = min(wanted, len(wide.samples))
    samples[:kept] = wide.samples[:kept]
    track, moves = MouthTrack(speech.phonemes, seed), Motion(seed, motion)
    poses = []
    for index in range(count):
        ms = 1000.0 * index / fps
        mouth = track.at(ms)
        mouth = replace(mouth, smile=0.45 * (1 - mouth.rounding) * (1 - 0.5 * mouth.opening))
        poses.append(MouthAndPose(mouth, moves.at(ms, track.energy(ms)), index))
    end_ms = 1000.0 * count / fps
    phonemes = tuple(p._replace(end_ms=min(p.end_ms, end_ms)) for p in speech.phonemes if p.start_ms < end_ms)
    return HeadClip(face, SpokenText(samples, _AUDIO_RATE, phonemes), fps, size, tuple(poses), seed)


def write_clip(clip: HeadClip, out: Path, *, crf: int = 23) -> None:
    """Write H.264 and AAC into `out` (.mp4) and the ground truth beside it (.json).

    Raises:
        OSError: the folder cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(out), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=clip.fps, options={"crf": str(crf), "preset": "slow", "g": "50"})
        video.width, video.height = clip.size
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1  # the same bytes on every machine
        audio = container.add_stream("aac", rate=clip.speech.rate, layout="mono")
        audio.bit_rate = 64_000
        sound = _audio_frames(clip.speech)
        for index, picture in enumerate(clip.frames()):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, clip.fps)
            container.mux(video.encode(frame))
            while (block := next(sound, None)) is not None:
                container.mux(audio.encode(block))
                if block.pts is not None and block.pts * clip.fps > index * clip.speech.rate:
                    break
        for block in sound:
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    out.with_suffix(".json").write_text(_compact(clip.truth()), encoding="utf-8")


def _audio_frames(speech: SpokenText) -> Iterator[av.AudioFrame]:
    for start in range(0, len(speech.samples), 1024):
        block = av.AudioFrame.from_ndarray(speech.samples[None, start : start + 1024], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = speech.rate, start, Fraction(1, speech.rate)
        yield block


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {key: [round(row[key], 4) for row in rows] for key in rows[0]}


def _compact(truth: dict[str, Any]) -> str:
    """Return JSON with one top-level value a line, so that a diff can be read."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in truth.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def bundled_face() -> Appearance:
    """Return the face of the bundled caller."""
    return Appearance(
        seed=BUNDLED_SEED,
        skin=(0.52, 0.64, 0.83),
        hair=(0.13, 0.19, 0.28),
        iris=(0.16, 0.27, 0.38),
        cloth=(0.42, 0.36, 0.20),
        wall=(0.66, 0.70, 0.72),
        lip=0.85,
        cheek=0.6,
        eye_size=1.05,
        nose_width=0.95,
        nose_length=0.97,
        mouth_width=1.05,
        lip_full=1.08,
        brow_weight=0.85,
        brow_tilt=-0.2,
        hair_style="bob",
        age=0.12,
        light=-0.55,
        warmth=0.5,
        teeth=0.95,
    )


def make(
    face: Appearance,
    text: str,
    voice: SpeechVoice,
    *,
    duration_s: float | None = None,
    size: tuple[int, int] = (640, 480),
) -> HeadClip:
    """Speak `text` and let `face` say it; see `render_clip`."""
    speech = speak(text, voice, _AUDIO_RATE).delayed(_LEAD_MS)
    clip = render_clip(face, speech, seed=face.seed, size=size, duration_s=duration_s)
    clip.made_from.update(text=text, voice=asdict(voice))
    return clip


def main(arguments: list[str] | None = None) -> None:
    """Write a clip as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m train.head.clip", description="Render a talking head with speech.")
    parser.add_argument("--out", type=Path, help="the .mp4 to write; the ground truth goes beside it as .json")
    parser.add_argument("--bundled", action="store_true", help="make the bundled caller again")
    parser.add_argument("--seed", type=int, default=0, help="which face")
    parser.add_argument("--text", default=BUNDLED_TEXT, help="what is said; SSML breaks are obeyed")
    parser.add_argument("--voice", default="en", help="an espeak-ng voice such as en, en-us+f3, de")
    parser.add_argument("--duration", type=float, help="length in seconds")
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT")
    chosen = parser.parse_args(arguments)
    width, _, height = chosen.size.partition("x")
    if not (width.isdigit() and height.isdigit()):
        parser.error(f"--size wants WIDTHxHEIGHT, not {chosen.size!r}")
    if chosen.bundled:
        write_clip(make(bundled_face(), BUNDLED_TEXT, BUNDLED_VOICE, duration_s=BUNDLED_SECONDS), BUNDLED)
    elif chosen.out is None:
        parser.error("say where to write: --out FILE.mp4")
    else:
        voice, size = SpeechVoice(chosen.voice), (int(width), int(height))
        clip = make(random_face(chosen.seed), chosen.text, voice, duration_s=chosen.duration, size=size)
        write_clip(clip, chosen.out)


if __name__ == "__main__":
    main()
