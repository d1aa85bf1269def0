"""Make shards of rendered people to train on: `python -m train.head.rendered --out DIR --count 40` (needs espeak-ng).

Every clip is another face, voice and pair of sentences; the mouth is timed by the phonemes, so that what is learned of
sound and shape is known to be in step.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soxr

from models.mel import SAMPLE_RATE
from train.head.appearance import random_face
from train.head.clip import make
from train.head.speech import SpeechVoice
from train.prepare.cache import Cache
from train.prepare.corpus import Video
from train.prepare.faces import FaceFinder
from train.prepare.packer import pack
from train.prepare.report import PreparationReport
from train.prepare.settings import Choice, Settings
from train.prepare.tracker import track

FIRST_SEED: Final = 100
"""Faces below are kept for tests and for the bundled caller."""

VOICES: Final = (
    "en", "en+f2", "en+m3", "en-us", "en-us+f4", "en+m7", "en+f4", "en-us+m2", "en+f5", "en-gb-scotland", "en-us+f1",
    "en+m5",
)  # fmt: skip

SENTENCES: Final = (
    "Could you send me the papers before noon, because my father wants to read them first.",
    "We walked along the shore for hours and watched the big blue waves roll over the rocks.",
    "Please put five spoons, four forks and a fresh loaf of bread on the table.",
    "My brother works for a small company that builds wooden boats for families.",
    "Five thousand people were waiting outside when the doors opened at half past seven.",
    "I would rather take the bus than walk through all that mud again.",
    "She bought a purple umbrella, a pair of warm gloves and a very good book.",
    "The weather was awful, so we stayed at home and baked an apple pie.",
    "Who knows whether the museum will be open on the first of May?",
    "He measured the room twice and found that the sofa would never fit.",
    "Mother always kept a bowl of plums beside the window in the morning.",
    "Let me know if you have trouble hearing me, I can move to another room.",
    "The project is going well, but we need more time for the final part.",
    "Above the village you can see three old towers and a narrow bridge.",
    "Thank you for calling, it is always wonderful to hear from you.",
    "Bob and Pam bought a map of Poland before both of them moved to Paris.",
    "There were fifty-five photographs of famous footballers on the wall.",
    "You should choose the shoes with the soft soles, they are much cheaper.",
    "We have a problem with the pump, but the plumber may come by Monday.",
    "Open the box, remove the paper, and push the brown button on the bottom.",
    "Every evening the old man fed the ducks and told them about his day.",
    "What a marvellous view, you can almost see the islands from up here.",
    "I thought the third theory was the only one worth thinking about.",
    "Zebras, giraffes and elephants were all asleep under the huge trees.",
    "Put the blue book beside the lamp, and bring me a cup of mint tea.",
    "Our flight was delayed for two hours, so we played cards and laughed.",
    "Few people ever forget the smell of rain on a hot summer afternoon.",
    "Would you mind turning the music down while I make a phone call?",
    "It is a pity that you could not come, the whole family was here.",
    "A quick look at the numbers shows that we spent too much on fuel.",
)


def plan(index: int) -> tuple[str, SpeechVoice]:
    """Return what clip `index` says, and in which voice."""
    rng = np.random.default_rng(FIRST_SEED + index)
    count = len(SENTENCES)
    text = f'{SENTENCES[index % count]} <break time="300ms"/> {SENTENCES[(index * 7 + 3) % count]}'
    return text, SpeechVoice(VOICES[index % len(VOICES)], int(rng.integers(135, 200)), int(rng.integers(25, 75)), 60)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; people who are there already are not rendered again."""
    parser = argparse.ArgumentParser(prog="python -m train.head.rendered", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--count", type=int, default=40, help="how many people")
    parser.add_argument("--size", type=int, default=128, help="side of the crops, px")
    args = parser.parse_args(arguments)
    settings = Settings(size=args.size, faces=1)
    store = Cache(args.out / "cache", settings)
    people = [(Video(Path(f"{FIRST_SEED + i}.rendered"), f"head{FIRST_SEED + i}"), _name(i)) for i in range(args.count)]
    with store.locked(), FaceFinder(settings.faces) as finder:
        for index, (_, name) in enumerate(people):
            if not store.holds(name):
                _render(index, name, store, settings, finder)
                print(f"{index + 1}/{args.count} people", flush=True)
        report = PreparationReport({"rendered": args.count, "size": args.size}, videos=args.count)
        pack(people, store, args.out, Choice(), report)
    report.write(args.out)
    print(report.table())
    return 0 if report.clips else 1


def _name(index: int) -> str:
    """Return what stands for the content of a person's video."""
    return hashlib.sha256(f"{FIRST_SEED + index} {plan(index)}".encode()).hexdigest()


def _render(index: int, name: str, store: Cache, settings: Settings, finder: FaceFinder) -> None:
    clip = make(random_face(FIRST_SEED + index), *plan(index))
    sound = soxr.resample(clip.speech.samples, clip.speech.rate, SAMPLE_RATE)
    speech = np.asarray(np.clip(sound * 32767.0, -32768, 32767), dtype=np.int16)
    finder.begin()
    store.write(name, track(clip.frames(), speech, name, finder, settings), speech)


if __name__ == "__main__":
    raise SystemExit(main())
