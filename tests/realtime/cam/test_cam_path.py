"""A local call in simulated time: real pictures at once, made ones in time, one into the other without a jump."""

import numpy as np
import pytest
from cam_simulation import ZERO, Floats, LocalCallInTime, Sound, StageSlots, Wave
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.cam.modes import Mode
from realtime.media import FrameKind

REAL, SYNTH = FrameKind.REAL, FrameKind.SYNTH


def clicks(sound: Sound) -> float:
    """Return the largest step between samples over that of the clean wave."""
    return float(np.abs(np.diff(sound.astype(int))).max())


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0])
def test_real_pictures_leave_when_they_come_with_their_own_bytes(fps: float) -> None:
    call = LocalCallInTime(fps=fps).run(10)
    real = [picture for _, picture in call.shown if picture.kind is REAL]
    assert call.kinds(0, 1e9) == {REAL}
    assert len(real) >= len(call.frames) - 1, "pictures were lost"
    own = {id(frame.i420) for frame in call.frames}
    assert all(id(picture.i420) in own for picture in real)
    assert call.path.latency.at(0.95)[0] < 15.0
    assert np.quantile(call.skews(), 0.95) <= 32.0


def test_sound_waits_for_next_to_nothing() -> None:
    call = LocalCallInTime().run(10)
    assert np.quantile(call.lags[50:], 0.95) < 50.0, "20 ms of it is the block itself"
    assert call.path.sound.concealed_blocks <= 30
    assert not call.path.sound.silent


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0])
def test_a_camera_that_stalls_is_bridged_before_a_freeze_and_comes_back(fps: float, seed: int) -> None:
    begin = 4000.0 + 9.0 * seed
    call = LocalCallInTime(gone=((begin, 7000.0),), fps=fps, seed=seed).run(12)
    assert call.freeze_count() == 0
    assert SYNTH in call.kinds(begin + 250.0, 6900.0) and REAL not in call.kinds(begin + 150.0, 6900.0)
    assert call.kinds(9000.0, 12_000.0) == {REAL}
    assert np.quantile(call.skews(), 0.95) <= 40.0
    assert call.path.engine.stats.time_to_synth_ms[0] <= 140.0
    late = [at for at, picture in call.shown if at > 10_500.0]
    assert len(late) >= 1.4 * fps, "the rate did not come back"
    assert np.quantile(call.lags[-25:], 0.95) < 55.0, "the sound kept the delay of synthesis"


def test_lips_hear_ahead_while_frames_are_made() -> None:
    call = LocalCallInTime(gone=((4000.0, 60_000.0),)).run(8)
    assert 125.0 < call.lags[-1] - 20.0 < 190.0
    jobs = [job for job in call.synth.jobs if job.media_ms > 0 and job.mel is not None]
    assert jobs[-1].speech and len(jobs) > 80


def test_a_camera_that_is_gone_for_good_is_a_person_who_speaks_on() -> None:
    call = LocalCallInTime(gone=((4000.0, 60_000.0),)).run(30)
    assert call.path.status(call.clock.now_ms()).state == "synth"
    assert call.freeze_count() == 0
    recent = [at for at, picture in call.shown if at > 20_000.0]
    assert abs(len(recent) / 10.0 - 30.0) < 1.0


@pytest.mark.parametrize("mode", [Mode.PHOTO, Mode.DUB, Mode.AWAY])
def test_modes_change_without_a_freeze_and_without_a_click(mode: Mode) -> None:
    clean = clicks(LocalCallInTime().run(4).sound()[48_000:])
    call = LocalCallInTime(modes=((3000.0, mode), (6000.0, Mode.THROUGH))).run(10)
    assert call.freeze_count() == 0
    assert call.kinds(3400.0, 6000.0) == {SYNTH} and call.kinds(7500.0, 10_000.0) == {REAL}
    assert np.quantile(call.skews(), 0.95) <= 40.0
    assert clicks(call.sound()[48_000:]) <= 2.0 * clean
    assert call.path.status(call.clock.now_ms()).state == "real"


def test_every_mode_follows_every_other() -> None:
    order = [Mode.PHOTO, Mode.DUB, Mode.AWAY, Mode.PHOTO, Mode.AWAY, Mode.DUB, Mode.PHOTO, Mode.THROUGH, Mode.DUB,
             Mode.THROUGH, Mode.AWAY, Mode.THROUGH]  # fmt: skip
    changes = tuple((2000.0 + 700.0 * i, mode) for i, mode in enumerate(order))
    call = LocalCallInTime(modes=changes).run(13)
    assert call.freeze_count() == 0
    assert call.kinds(12_000.0, 13_000.0) == {REAL}


def test_nothing_is_heard_while_away_and_the_mouth_rests() -> None:
    call = LocalCallInTime(modes=((3000.0, Mode.AWAY),)).run(6)
    silent = np.concatenate([block for at, block in call.played if at > 3400.0])
    assert not silent.any()
    assert not any(job.speech for job in call.synth.jobs[-60:])


def test_the_dub_is_heard_in_place_of_the_microphone() -> None:
    def tone(hz: float) -> Wave:
        def at(t: Floats) -> Floats:
            return np.asarray(8000 * np.sin(2 * np.pi * hz * t))

        return at

    call = LocalCallInTime(modes=((3000.0, Mode.DUB),), wave=tone(500), dub=tone(1500)).run(6)

    def loudest(since: float, until: float) -> float:
        sound = np.concatenate([block for at, block in call.played if since <= at < until])
        return float(np.abs(np.fft.rfft(sound)).argmax() * 48_000 / sound.size)

    assert loudest(1000, 3000) == pytest.approx(500, abs=5)
    assert loudest(4000, 6000) == pytest.approx(1500, abs=5)
    assert call.kinds(3300.0, 6000.0) == {SYNTH}


def test_a_dub_leaves_in_the_time_of_the_camera() -> None:
    call = LocalCallInTime(fps=25.0, camera_jitter=0.0, modes=((2000.0, Mode.DUB),)).run(8)
    after = np.array([at for at, _ in call.shown if at > 3000.0])
    assert ((after - 8.0) % 40.0 < 1.0).all() and np.diff(after) == pytest.approx(40.0)


def test_a_photo_needs_no_camera() -> None:
    call = LocalCallInTime(gone=((0.0, 1e9),), modes=((0.0, Mode.PHOTO),), fps=25.0).run(5)
    assert call.kinds(0.0, 5000.0) == {SYNTH}
    assert len(call.shown) >= 120 and np.quantile(call.skews(), 0.95) <= 40.0


def test_without_a_microphone_the_camera_is_seen_and_silence_leaves() -> None:
    call = LocalCallInTime(mute=((0.0, 1e9),)).run(5)
    assert call.kinds(0.0, 5000.0) == {REAL} and len(call.shown) >= len(call.frames) - 1
    assert not call.sound().any() and len(call.played) == 250
    assert call.path.latency.at(0.95)[0] < 15.0
    assert not call.path.status(call.clock.now_ms()).heard


def test_a_microphone_that_stops_fades_and_comes_back() -> None:
    call = LocalCallInTime(mute=((3000.0, 5000.0),)).run(8)
    assert clicks(call.sound()[48_000:]) < 1500
    assert not np.concatenate([block for at, block in call.played if 3300.0 < at < 4900.0]).any()
    assert np.quantile(call.lags[-50:], 0.95) < 50.0
    assert call.kinds(0.0, 8000.0) == {REAL} and np.quantile(call.skews(5500.0), 0.95) <= 40.0


def test_whoever_hears_the_microphone_itself_is_told_how_late_lips_are() -> None:
    call = LocalCallInTime(hears_us=False, gone=((4000.0, 60_000.0),)).run(8)
    status = call.path.status(call.clock.now_ms())
    assert 120.0 < status.behind_ms < 190.0
    back = LocalCallInTime(hears_us=False, gone=((3000.0, 5000.0),)).run(8)
    assert back.path.latency.at(0.95)[0] < 2.0, "nothing waits for sound that leaves elsewhere"


def test_the_card_is_shown_while_no_picture_has_ever_come() -> None:
    card = np.zeros((4, 4, 3), np.uint8)
    call = LocalCallInTime(gone=((0.0, 3000.0),), card=card).run(5)
    first = [at for at, picture in call.shown if picture.image is card]
    assert 600.0 < first[0] < 900.0 and max(np.diff(first)) < 250.0
    assert call.kinds(3500.0, 5000.0) == {REAL}


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_clocks_that_differ_leave_no_trace(ppm: float) -> None:
    call = LocalCallInTime(mic_ppm=ppm, fps=10.0).run(120)
    lags = np.array(call.lags)
    assert abs(np.median(lags[-500:]) - np.median(lags[500:1500])) < 12.0
    assert call.path.sound.concealed_blocks < 30


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 30), st.floats(0, 40), st.floats(150, 3000), st.sampled_from([15, 25, 30]))
def test_no_freeze_whatever_devices_do(seed: int, camera: float, mic: float, outage: float, fps: int) -> None:
    gone = tuple((at, at + outage) for at in (3000.0, 7000.0))
    call = LocalCallInTime(gone=gone, camera_jitter=camera, mic_jitter=mic, fps=fps, seed=seed).run(11)
    assert call.freeze_count() == 0
    assert np.quantile(call.skews(), 0.9) <= 40.0


def test_who_begins_with_the_photo_is_not_seen_until_they_say_so() -> None:
    call = LocalCallInTime(modes=((0.0, Mode.PHOTO), (4000.0, Mode.THROUGH)), camera_late=12.0).run(8)
    assert call.kinds(0.0, 4000.0) == {SYNTH}
    assert call.kinds(5500.0, 8000.0) == {REAL} and call.freeze_count(4000.0) == 0


def test_the_status_says_why() -> None:
    call = LocalCallInTime().run(1)
    assert call.path.status(call.clock.now_ms()).why is None
    call.stage.why = "the head is turned away"
    assert call.path.status(call.clock.now_ms()).why == "the head is turned away"


def test_a_picture_that_is_held_keeps_the_cameras_own_bytes_and_counts_as_no_new_one() -> None:
    call = LocalCallInTime(gone=((3000.0, 6000.0),), make=lambda clock: (None, StageSlots())).run(5)
    held = [picture for at, picture in call.shown if at > 3100.0]
    assert len(held) >= 8 and {picture.kind for picture in held} == {FrameKind.REPEATED}
    assert all(picture.i420 is call.frames[-1].i420 and picture.arrived_ms is None for picture in held)


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_after_an_outage_real_pictures_do_not_wait_for_sound_that_is_still_long(fps: float) -> None:
    call = LocalCallInTime(gone=((4000.0, 7000.0),), fps=fps).run(12)
    waited = [
        at + ZERO - picture.arrived_ms
        for at, picture in call.shown
        if at > 7000.0 and picture.arrived_ms is not None and picture.kind is REAL
    ]
    assert len(waited) >= 4.0 * fps and np.quantile(waited[: round(4.0 * fps)], 0.95) <= 40.0
    assert clicks(call.sound()[48_000:]) <= 2.0 * clicks(LocalCallInTime(fps=fps).run(4).sound()[48_000:])
