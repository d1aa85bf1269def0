"""Speech with curves in place of pictures: read, drawn, and learned beside the clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ears_files import open_ears
from face_curves import RATE, write_recording

from models.lite.contract import LiteConfig
from models.lite.network import Lite
from tests.train.lite.planted_mouths import as_sample, planted_clip
from train.data.clips import Split
from train.data.pool import Pool
from train.data.shards import ShardWriter
from train.ears.config import SpoiltConfig
from train.lite.basis import fit_basis
from train.lite.config import CurvesConfig, VoiceTrainingConfig
from train.lite.curves import CurveRecording, draw_curves, read_curves
from train.lite.heard import ClipHearing
from train.lite.voice import VoiceAndCurves, VoiceTask

LITE = LiteConfig(coefficients=3, heard=64, columns=5, hidden=16, width=8, features=4)
QUIET = SpoiltConfig(room=0.0, microphone=0.0, noise=0.0, codec=0.0)


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> ClipHearing:
    return ClipHearing.of(open_ears(tmp_path_factory.mktemp("ears")), LITE, QUIET)


def test_recordings_are_read_with_the_curves_that_are_told(tmp_path: Path) -> None:
    written = {name: write_recording(tmp_path, name, seed=at) for at, name in enumerate(("anna", "ben", "cleo"))}
    config = CurvesConfig(folder=tmp_path, columns=(1, 0), held_out=("ben",))
    learned, held_out = (read_curves(config, held_out=held) for held in (False, True))
    assert [one.key for one in learned] == ["curves-anna", "curves-cleo"]
    assert [one.key for one in held_out] == ["curves-ben"]
    one = learned[0]
    np.testing.assert_array_equal(one.curves, written["anna"][:, [1, 0]])
    assert one.samples.dtype == np.int16 and one.samples.size == 60 * RATE // 30
    assert one.times(np.array([0, 3])).tolist() == pytest.approx([0.0, 100.0])


def test_speech_is_where_a_recording_is_loud() -> None:
    loud = (np.arange(20) // 5) % 2 == 1
    sound = np.repeat(np.where(loud, 3000, 30), RATE // 20).astype(np.int16)
    recording = CurveRecording("curves-a", sound, np.zeros((20, 1), np.float32), 20.0)
    np.testing.assert_array_equal(recording.speech, loud)


def test_curves_after_the_end_of_the_sound_are_dropped(tmp_path: Path) -> None:
    curves = write_recording(tmp_path, "anna")
    np.save(tmp_path / "anna.npy", np.concatenate([curves, curves]))
    (one,) = read_curves(CurvesConfig(folder=tmp_path), held_out=False)
    assert len(one.curves) == len(curves)


def test_no_folder_means_no_curves_and_a_folder_without_pairs_is_an_error(tmp_path: Path) -> None:
    assert read_curves(CurvesConfig(), held_out=False) == []
    with pytest.raises(ValueError, match="no recordings with curves"):
        read_curves(CurvesConfig(folder=tmp_path), held_out=False)
    write_recording(tmp_path, "anna")
    with pytest.raises(ValueError, match="more than 3"):
        read_curves(CurvesConfig(folder=tmp_path, columns=(3,)), held_out=False)


def test_drawn_windows_are_those_of_their_curves_times(hearing: ClipHearing) -> None:
    frames, sound = 30, np.random.default_rng(0).normal(0, 3000, RATE).astype(np.int16)
    numbered = np.arange(frames, dtype=np.float32)[:, None]
    one = CurveRecording("curves-numbered", sound, numbered, 30.0)
    plain = ClipHearing(hearing.hearing, QUIET.model_copy(update={"renditions": 1}))
    windows, curves = draw_curves([one], plain, 24, np.random.default_rng(1))
    assert windows.shape == (24, 64, 5) and curves.shape == (24, 1) and len(curves.unique()) > 5
    at = curves[:, 0].numpy().astype(np.int64)
    # Every clip has two renditions, as it was said and spoilt; each window is of one of them, at its curve's time.
    either = [plain.windows_at(one.key, sound, one.times(at), rendition) for rendition in (0, 1)]
    said = [np.array_equal(window, either[0][row]) for row, window in enumerate(windows.numpy())]
    spoilt = [np.array_equal(window, either[1][row]) for row, window in enumerate(windows.numpy())]
    assert all(one != other for one, other in zip(said, spoilt, strict=True)) and any(said) and any(spoilt)


def test_the_voice_learns_curves_beside_the_clips(tmp_path: Path, hearing: ClipHearing) -> None:
    (tmp_path / "curves").mkdir()
    for at, name in enumerate(("anna", "ben")):
        write_recording(tmp_path / "curves", name, seed=at)
    with ShardWriter(tmp_path, "planted") as writer:
        writer.write(as_sample(planted_clip()))
    pool = Pool([tmp_path], Split("clip", 0.0), ["train"])
    torch.manual_seed(0)
    lite = Lite(LITE)
    lite.basis_BV.copy_(torch.from_numpy(fit_basis(pool.at(0), 3)))
    curves = CurvesConfig(folder=tmp_path / "curves", columns=(1,), held_out=("ben",), share=0.5, weight=2.0)
    task = VoiceTask(
        lite,
        pool,
        pool.at(0),
        [planted_clip("new", seed=5)],
        VoiceTrainingConfig(batch=8, frames=4, curves=curves),
        hearing,
    )
    batch = task.batch(0, 0, 1)
    assert batch["curve_heard"].shape == (16, 64, 5) and batch["curves"].shape == (16, 1)
    model = task.networks["model"]
    assert isinstance(model, VoiceAndCurves)
    model.eval()
    with torch.no_grad():
        losses = task.losses("model", task.networks, batch)
        without = task.losses("model", task.networks, {name: batch[name] for name in ("heard", "truth")})
    assert "curves" not in without
    assert float(losses["loss"]) == pytest.approx(float(without["loss"]) + 2.0 * float(losses["curves"]), rel=1e-4)
    before = task.evaluate(model).figures["curve"]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(30):
        optimizer.zero_grad()
        task.losses("model", task.networks, task.batch(step, 0, 1))["loss"].backward()
        optimizer.step()
    after = task.evaluate(model).figures["curve"]
    assert after > max(0.4, before + 0.2)
