"""The hearing network from ONNX: what torch hears, in any chunks, and never past its lookahead."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ears_files import TINY, open_ears, random_ears
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ears import export
from models.ears.contract import FRAME_MS, EarsConfig
from models.ears.export import export_ears, load_ears
from models.ears.logmel import FLOOR
from models.ears.onnx import Ears, EarsHearing
from models.errors import ModelError
from models.hearing import Columns
from models.onnx.export import HALF, TOLERANCE
from realtime.speech.heard import HeardHistory

TWO = EarsConfig(layers=2, width=64, heads=1, past=6)
FRAME = 320
LOUD = 0.1


def noise(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.asarray(LOUD * np.random.default_rng(seed).standard_normal(count), np.float32)


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Ears:
    return open_ears(tmp_path_factory.mktemp("ears"), TWO)


@pytest.fixture(scope="module")
def hearing(ears: Ears) -> EarsHearing:
    return EarsHearing(ears, 5, 80.0)


@pytest.mark.parametrize("config", [TINY, TWO])
def test_the_file_hears_what_torch_hears_and_reads_back(tmp_path: Path, config: EarsConfig) -> None:
    network, out = random_ears(config), tmp_path / "ears.onnx"
    assert export_ears(network, out) <= TOLERANCE
    assert [path.name for path in tmp_path.iterdir()] == ["ears.onnx"]
    opened, mel = Ears(out), np.random.default_rng(1).normal(size=(80, 23)).astype(np.float32)
    frames, state = opened.run(mel, opened.state)
    back = load_ears(out)
    assert opened.config == back.config == config and not back.training
    for net in (network, back):
        with torch.no_grad():
            expected, after = net(torch.from_numpy(mel)[None], net.silence(FLOOR)[None].half().float())
        np.testing.assert_allclose(frames, expected[0].numpy().T, atol=TOLERANCE)
        np.testing.assert_allclose(state, after.numpy(), atol=TOLERANCE)
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in network.state_dict().items())


def test_large_weights_are_kept_in_half_precision(tmp_path: Path) -> None:
    network = random_ears()
    export_ears(network, tmp_path / "ears.onnx")
    weights = onnx.load(tmp_path / "ears.onnx").graph.initializer
    halves = {entry.name.removesuffix(HALF) for entry in weights if entry.name.endswith(HALF)}
    large = {name for name, value in network.state_dict().items() if value.numel() >= 1024}
    assert large and halves == large
    assert all(entry.data_type == onnx.TensorProto.FLOAT16 for entry in weights if entry.name.endswith(HALF))


def test_a_file_that_hears_otherwise_streamed_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "ears.onnx"
    out.write_bytes(b"older")

    class Deaf(Ears):
        """Ears that hear nothing of a whole recording."""

        def hear(self, samples: NDArray[np.float32]) -> Columns:
            return np.zeros_like(super().hear(samples))

    monkeypatch.setattr(export, "Ears", Deaf)
    with pytest.raises(ModelError, match="streamed"):
        export_ears(random_ears(), out)
    assert out.read_bytes() == b"older" and list(tmp_path.iterdir()) == [out]


def described(path: Path, **metadata: str) -> Path:
    """A copy of an ears' file with other metadata."""
    model = onnx.load(path)
    known = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, known | {f"lipline.{name}": value for name, value in metadata.items()})
    copy = path.with_name("other.onnx")
    onnx.save(model, copy)
    return copy


def test_missing_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ears.onnx"
    with pytest.raises(ModelError):
        Ears(path)
    export_ears(random_ears(), path)
    with pytest.raises(ModelError, match="no hearing network"):
        Ears(described(path, kind="lite"))
    for name, value in (("ears", '{"layers": "?"}'), ("ears", "{"), ("silence", "AAAA"), ("silence", "?")):
        with pytest.raises(ModelError, match="cannot be read"):
            Ears(described(path, **{name: value}))
    with pytest.raises(ModelError, match="no hearing network"):
        load_ears(described(path, ears='{"layers": 3}'))
    path.write_bytes(path.read_bytes()[:3000])
    for opens in (Ears, load_ears):
        with pytest.raises(ModelError):
            opens(path)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 1500), max_size=10))
def test_a_stream_in_any_chunks_hears_what_is_heard_at_once(ears: Ears, sizes: list[int]) -> None:
    sound = noise(sum(sizes))
    stream = ears.stream()
    parts = [stream.push(part) for part in np.split(sound, np.cumsum(sizes))]
    joined, whole = np.concatenate([*parts, stream.flush()], 1), ears.hear(sound)
    assert joined.shape == whole.shape == (64, 1 + len(sound) // FRAME)
    np.testing.assert_allclose(joined, whole, atol=TOLERANCE)


def test_a_frame_comes_with_the_sample_32_5_ms_after_its_time(ears: Ears) -> None:
    stream = ears.stream()
    assert stream.push(noise(3 * FRAME + 519)).shape[1] == 3
    assert stream.push(noise(1)).shape[1] == 1


def test_silence_is_what_a_stream_hears_before_and_of_nothing(ears: Ears) -> None:
    heard = ears.hear(np.zeros(40 * FRAME, np.float32))
    np.testing.assert_allclose(heard, np.repeat(ears.silence[:, None], 41, 1), atol=2e-3)


def test_a_recording_longer_than_one_call_has_no_seam(ears: Ears) -> None:
    sound = noise(520 * FRAME)
    late = ears.hear(sound[235 * FRAME :])
    forgotten = TWO.layers * TWO.past + 2
    np.testing.assert_allclose(ears.hear(sound)[:, 235 + forgotten :], late[:, forgotten:], atol=TOLERANCE)


def test_a_lost_block_costs_its_own_time_only(ears: Ears) -> None:
    sound, block = noise(60 * FRAME), slice(25 * FRAME, 26 * FRAME)
    holed = sound.copy()
    holed[block] = 0.0
    apart = np.abs(ears.hear(sound) - ears.hear(holed)).max(0)
    # The last column of a frame is centred two columns after its time and reaches 200 samples farther.
    changed = np.flatnonzero(apart > 1e-5)
    assert changed[0] == 25 - 1
    assert apart[25] > 1e-2
    # Two columns before a frame's own, with their own half windows, still touch the hole.
    assert 26 < changed[-1] <= 26 + 1 + TWO.layers * TWO.past


@settings(max_examples=25, deadline=None)
@given(st.floats(-100.0, 900.0), st.sampled_from([40.0, 60.0, 80.0, 95.5]), st.integers(1, 7))
def test_a_frame_never_hears_past_its_lookahead(ears: Ears, media_ms: float, lookahead_ms: float, columns: int) -> None:
    hearing = EarsHearing(ears, columns, lookahead_ms)
    sound = noise(16000)
    known = max(int(np.ceil((media_ms + lookahead_ms) * 16.0 - 0.1)), 0)
    other = sound.copy()
    other[known:] = noise(16000, seed=1)[known:]
    np.testing.assert_array_equal(
        hearing.cut(hearing.hear(sound), media_ms), hearing.cut(hearing.hear(other), media_ms)
    )


def test_a_frame_hears_up_to_its_lookahead(hearing: EarsHearing) -> None:
    sound = noise(16000)
    other, media_ms = sound.copy(), 453.5
    other[round((media_ms + hearing.lookahead_ms) * 16) - 320 :] *= -0.2
    now, then = (hearing.cut(hearing.hear(one), media_ms) for one in (sound, other))
    assert np.abs(now - then)[:, -1].max() > 1e-3
    np.testing.assert_array_equal(now[:, :-1], then[:, :-1])


def test_windows_between_frames_are_mixtures(hearing: EarsHearing) -> None:
    heard, on = hearing.hear(noise(16000)), 452.5
    here, there = hearing.cut(heard, on), hearing.cut(heard, on + FRAME_MS)
    first, share = hearing.place(on)
    assert share == 0.0
    np.testing.assert_array_equal(here, heard[:, first : first + hearing.columns])
    np.testing.assert_array_equal(there[:, :-1], here[:, 1:])
    for part in (0.25, 0.5, 0.9):
        mixed = hearing.cut(heard, on + part * FRAME_MS)
        np.testing.assert_allclose(mixed, here + part * (there - here), atol=1e-4)


def test_around_a_recording_lies_silence(hearing: EarsHearing) -> None:
    heard = hearing.hear(noise(3200))
    for media_ms in (-500.0, 1000.0):
        np.testing.assert_array_equal(hearing.cut(heard, media_ms), np.repeat(hearing.silence, hearing.columns, 1))
    np.testing.assert_array_equal(hearing.cut(heard, 12.5)[:, :2], np.repeat(hearing.silence, 2, 1))


@settings(max_examples=25, deadline=None)
@given(st.floats(-50.0, 950.0), st.floats(-1e3, 1e6), st.lists(st.integers(0, 4000), max_size=4))
def test_a_history_gives_the_windows_of_the_whole_recording(
    hearing: EarsHearing, media_ms: float, start_ms: float, sizes: list[int]
) -> None:
    sound = noise(16000)
    history, stream = HeardHistory(hearing, start_ms), hearing.stream()
    for part in np.split(sound, np.cumsum(sizes)):
        history.extend(stream.push(part))
    # The same sum of floats as in the history, so that both fall on the same frame.
    at = start_ms + media_ms - start_ms
    expected = hearing.cut(hearing.hear(sound), at)
    if history.ready(start_ms + media_ms):
        np.testing.assert_allclose(history.window(start_ms + media_ms), expected, atol=2 * TOLERANCE)
    assert history.ready(start_ms + media_ms) or at + hearing.lookahead_ms > 999.0
