import ctypes.util
import json
from pathlib import Path

import numpy as np
import pytest

from train.head import clip as clip_module
from train.head import random_face, speech, true_opening
from train.head.clip import HeadClip, render_clip, write_clip
from train.head.lips import gap_of
from train.head.pose import MouthShape
from train.head.speech import Phoneme, SpeechUnavailableError, SpeechVoice, SpokenText, speak
from train.head.visemes import BILABIAL, LABIODENTAL, MouthTrack, targets_of

needs_espeak = pytest.mark.skipif(not speech.available(), reason="needs espeak-ng: apt-get install espeak-ng")

TRUTH = json.loads(clip_module.BUNDLED.with_suffix(".json").read_text(encoding="utf-8"))
TRACK = [Phoneme(*row) for row in TRUTH["phonemes"]]


def spell(*parts: tuple[str, float]) -> list[Phoneme]:
    track, at = [], 0.0
    for symbol, length in parts:
        track.append(Phoneme(symbol, at, at + length))
        at += length
    return track


def frames(track: MouthTrack, start: float, end: float) -> list[MouthShape]:
    return [track.at(ms) for ms in np.arange(np.ceil(start / 40) * 40, end, 40.0)]


def test_lips_close_for_every_bilabial_of_the_bundled_speech() -> None:
    track = MouthTrack(TRACK, 1)
    bilabials = [p for p in TRACK if p.symbol[:1] in BILABIAL and p.symbol]
    assert len(bilabials) > 15
    for phoneme in bilabials:
        # One frame of tolerance on both sides; at 25 fps the closure must be seen.
        seen = frames(track, phoneme.start_ms - 40, phoneme.end_ms + 40)
        assert min(gap_of(shape) for shape in seen) < 0.02, phoneme
        middle = track.at((phoneme.start_ms + phoneme.end_ms) / 2)
        assert gap_of(middle) < 0.012, phoneme


def test_lips_are_closed_in_silence() -> None:
    track = MouthTrack(TRACK, 1)
    pauses = [p for p in TRACK if not p.symbol and p.end_ms - p.start_ms > 300]
    assert pauses
    for pause in pauses:
        for ms in np.arange(pause.start_ms + 130, pause.end_ms - 90, 10):
            assert gap_of(track.at(ms)) < 1e-3
    assert track.at(-1.0).opening == 0 and track.at(1e9).opening == 0


@pytest.mark.parametrize("vowel", ["ɑ", "a", "ɛ", "i", "u", "ɔ"])
def test_a_vowel_reaches_its_shape_at_its_time(vowel: str) -> None:
    track = MouthTrack(spell(("", 300), ("t", 80), (vowel, 140), ("t", 80), ("", 300)), 0, 1.0)
    target = targets_of(vowel)[0]
    times = np.arange(0, 900, 5.0)
    away = [abs(track.at(t).opening - target.opening) + abs(track.at(t).rounding - target.rounding) for t in times]
    best = times[int(np.argmin(away))]
    assert 380 - 40 <= best <= 520 + 40
    assert min(away) < 0.15


def test_f_and_v_tuck_the_lower_lip_under_the_teeth() -> None:
    track = MouthTrack(spell(("", 200), ("a", 120), ("f", 90), ("a", 120), ("", 200)))
    shape = track.at(365.0)
    assert shape.tuck > 0.9 and shape.opening < 0.06 and shape.lift > 0.25
    assert track.at(260.0).tuck < 0.3
    assert {"f", "v"} <= LABIODENTAL


def test_lips_round_before_the_sound_of_a_rounded_vowel() -> None:
    track = MouthTrack(spell(("", 200), ("s", 90), ("t", 80), ("u", 150), ("", 200)))
    assert track.at(350.0).rounding > 0.35
    assert track.at(445.0).rounding > 0.65


def test_the_mouth_moves_smoothly() -> None:
    track = MouthTrack(TRACK, 2)
    gaps = np.array([gap_of(track.at(ms)) for ms in np.arange(0, TRACK[-1].end_ms, 10.0)])
    # Half a face is about 70 mm: lips part at no more than half a metre per second.
    assert np.abs(np.diff(gaps)).max() * 70 < 5.0


@pytest.mark.parametrize("symbols", [[], ["h"], ["ʔ", "h"], ["☃"], [""]])
def test_unknown_or_empty_speech_keeps_the_mouth_at_rest(symbols: list[str]) -> None:
    track = MouthTrack(spell(*((symbol, 100.0) for symbol in symbols)))
    assert track.at(50.0).opening == pytest.approx(0.0)


def tone(seconds: float) -> SpokenText:
    n = int(22_050 * seconds)
    samples = (0.3 * np.sin(np.arange(n) * 0.05)).astype(np.float32)
    return SpokenText(samples, 22_050, tuple(spell(("a", 400), ("m", 100), ("", seconds * 1000 - 500))))


def test_clip_keeps_sound_and_frames_equally_long() -> None:
    made = render_clip(random_face(1), tone(1.23), seed=1, size=(160, 120), duration_s=1.6)
    assert isinstance(made, HeadClip)
    assert len(made.poses) == 40 and len(made.speech.samples) == 40 * 1920
    assert np.abs(made.speech.samples[-4800:]).max() == 0
    truth = made.truth()
    assert truth["frames"] == len(truth["mouth_opening"]) == len(truth["head"]["yaw"]) == 40
    assert truth["mouth_opening"][5] == pytest.approx(true_opening(made.face, made.poses[5].mouth), abs=1e-4)
    assert truth["mouth_opening"][5] > 0.1
    assert min(truth["mouth_opening"][10:13]) < 0.01


def test_written_clip_reads_back(tmp_path: Path) -> None:
    import av

    made = render_clip(random_face(1), tone(0.8), size=(160, 120))
    write_clip(made, tmp_path / "x" / "clip.mp4")
    with av.open(str(tmp_path / "x" / "clip.mp4")) as container:
        frames_, sound = list[av.VideoFrame](), list[av.AudioFrame]()
        for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
            if isinstance(frame, av.VideoFrame):
                frames_.append(frame)
            elif isinstance(frame, av.AudioFrame):
                sound.append(frame)
    assert [frame.time for frame in frames_] == pytest.approx([i / 25 for i in range(20)])
    picture = frames_[7].to_ndarray(format="bgr24").astype(int)
    assert np.abs(picture - list(made.frames())[7]).mean() < 6
    heard = np.concatenate([frame.to_ndarray()[0] for frame in sound])
    assert np.corrcoef(heard[4_800:33_600], made.speech.samples[4_800:33_600])[0, 1] > 0.98
    assert json.loads((tmp_path / "x" / "clip.json").read_text())["frames"] == 20


def test_missing_library_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError("no such file")))
    with pytest.raises(SpeechUnavailableError, match="apt-get install espeak-ng"):
        speech.load_library()


@pytest.mark.parametrize(("arguments", "message"), [(["--size", "big"], "WIDTHxHEIGHT"), ([], "--out")])
def test_command_explains_bad_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        clip_module.main(arguments)
    assert message in capsys.readouterr().err


@needs_espeak
def test_espeak_phonemes_lie_where_the_sound_is() -> None:
    said = speak('Mama <break time="700ms"/> papa.', SpeechVoice("en"))
    assert said.rate == 16_000
    assert said.phonemes[0].start_ms == 0 and said.phonemes[-1].end_ms == pytest.approx(said.duration_ms, abs=1)
    for one, other in zip(said.phonemes, said.phonemes[1:], strict=False):
        assert one.end_ms == pytest.approx(other.start_ms)
    symbols = "".join(p.symbol for p in said.phonemes)
    assert symbols.count("m") == 2 and symbols.count("p") == 2
    pause = max((p for p in said.phonemes if not p.symbol), key=lambda p: p.end_ms - p.start_ms)
    quiet = said.samples[int(pause.start_ms * 16) + 800 : int(pause.end_ms * 16) - 160]
    assert np.abs(quiet).max() < 0.05 < np.abs(said.samples).max()


@needs_espeak
@pytest.mark.parametrize("name", ["en", "en-us+f3", "de", "fr+m3", "es"])
def test_voices_and_languages_speak(name: str) -> None:
    assert speak("Radio, piano, panorama.", SpeechVoice(name, 200, 60, 40), 48_000).duration_ms > 700


@needs_espeak
def test_unknown_voice_is_named() -> None:
    with pytest.raises(SpeechUnavailableError, match="klingon"):
        speak("nuqneH", SpeechVoice("klingon-x"))
