"""The streaming mel equals the offline one, whatever the chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.mel import Mel, Samples, melspectrogram
from models.melstream import StreamingMel

chunk_lengths = st.lists(
    st.sampled_from([0, 1, 1, 2, 7, 160, 199, 200, 201, 320, 399, 400, 401, 800, 2_000]), max_size=30
)


def speechlike(n: int, seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    time = np.arange(n) / 16_000
    voice = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    loudness = np.clip(np.sin(2 * np.pi * 5 * time), 0, 1)
    return np.asarray(0.3 * voice * loudness + 1e-4 * rng.standard_normal(n), np.float32)


def stream(samples: Samples, lengths: list[int], mel: StreamingMel) -> Mel:
    chunks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    return np.concatenate([mel.push(chunk) for chunk in chunks] + [mel.flush()], axis=1)


@given(lengths=chunk_lengths, seed=st.integers(0, 9))
def test_any_chunking_equals_offline(lengths: list[int], seed: int) -> None:
    samples = speechlike(sum(lengths), seed)
    streamed = stream(samples, lengths, StreamingMel())
    assert streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, melspectrogram(samples), rtol=0, atol=1e-5)


@given(n=st.integers(0, 420))
def test_single_samples_below_and_around_half_a_window(n: int) -> None:
    samples = speechlike(n, 3)
    np.testing.assert_allclose(stream(samples, [1] * n, StreamingMel()), melspectrogram(samples), rtol=0, atol=1e-5)


@given(lengths=chunk_lengths)
def test_flush_begins_a_new_stream(lengths: list[int]) -> None:
    mel = StreamingMel()
    stream(speechlike(1_234, 1), [1_234], mel)
    samples = speechlike(sum(lengths), 2)
    np.testing.assert_allclose(stream(samples, lengths, mel), melspectrogram(samples), rtol=0, atol=1e-5)


def test_columns_come_as_soon_as_their_sound_is_there() -> None:
    mel, samples = StreamingMel(), speechlike(4_000, 1)
    have, counts = 0, []
    for sample in samples:
        have += mel.push(np.array([sample])).shape[1]
        counts.append(have)
    first_seen = [counts.index(i + 1) for i in range(have)]
    assert first_seen == [400] + [200 * i + 399 for i in range(1, have)]


def test_state_is_bounded() -> None:
    mel = StreamingMel()
    for _ in range(500):
        mel.push(np.zeros(320, dtype=np.float32))
        kept = [value for value in vars(mel).values() if isinstance(value, np.ndarray)]
        assert sum(value.nbytes for value in kept) <= 8 * 800
        assert all(value.base is None for value in kept), "a view would keep the whole push alive"


def test_bad_samples_leave_the_stream_unchanged() -> None:
    samples = speechlike(3_000, 5)
    mel = StreamingMel()
    columns = [mel.push(samples[:1_500])]
    for bad in (np.array([0.1, np.nan], dtype=np.float32), np.zeros((2, 2), dtype=np.float32)):
        with pytest.raises(ValueError, match="samples"):
            mel.push(bad)
    columns += [mel.push(samples[1_500:]), mel.flush()]
    np.testing.assert_allclose(np.concatenate(columns, axis=1), melspectrogram(samples), rtol=0, atol=1e-5)
