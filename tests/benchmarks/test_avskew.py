"""The measure of skew is itself measured: planted skews must come out, from film, beacon and notes alike."""

import numpy as np
import pytest

from benchmarks.avskew.__main__ import pool, summarize
from benchmarks.avskew.beacon import MARK_RETURNING, MARK_SYNTH, BeaconRenderer
from benchmarks.avskew.call import WINDOW
from benchmarks.avskew.film import BEEP_MS, Film, beep_start_ms, brightness, make_film, paint, tone_of
from benchmarks.avskew.measure import measure, ntp_ms, quantiles
from benchmarks.avskew.viewer import Notes
from models.alignment import MelWindow
from realtime.media import BLOCK_SAMPLES
from realtime.speech.audio import SpeechPath

SECONDS = 8.0
FIRST_AUDIO, FIRST_VIDEO = (1 << 32) - 50_000, (1 << 32) - 9_000
"""Both streams wrap on the way."""


@pytest.fixture(scope="module")
def film() -> Film:
    return make_film(SECONDS)


def received(film: Film, *, ahead_ms: float, late_ms: float = 0.0, mark: float = 0.0) -> Notes:
    """Return what a viewer notes of the film when pictures say `ahead_ms` more than the sound beside them."""
    notes = Notes()
    for i in range(len(film.samples) // BLOCK_SAMPLES):
        block = film.samples[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES]
        notes.sounds.append((5_000.0 + 20.0 * i, (FIRST_AUDIO + 960 * i) % (1 << 32), block))
    for i in range(int(SECONDS * 25)):
        image = film.image(i)
        paint(image, 2, mark)
        at_ms = 40.0 * i - ahead_ms
        seen = (brightness(image, 0), brightness(image, 1), brightness(image, 2))
        notes.pictures.append((5_000.0 + at_ms + late_ms, (FIRST_VIDEO + round(at_ms * 90)) % (1 << 32), seen))
    notes.reports["audio"] = [(4_000.0, 700.0, FIRST_AUDIO)]
    notes.reports["video"] = [(4_000.0, 700.0, FIRST_VIDEO)]
    return notes


@pytest.mark.parametrize(
    ("ahead_ms", "late_ms", "mark", "state"),
    [(0.0, 0.0, 0.0, "REAL"), (35.0, 0.0, MARK_SYNTH, "SYNTH"), (-60.0, 25.0, MARK_RETURNING, "RETURNING")],
)
def test_a_planted_skew_comes_out(film: Film, ahead_ms: float, late_ms: float, mark: float, state: str) -> None:
    found = measure(received(film, ahead_ms=ahead_ms, late_ms=late_ms, mark=mark))
    assert (found.beeps_alone, found.flashes_alone) == (0, 0)
    assert len(found.events) >= 14 and {event.state for event in found.events} == {state}
    aligned = [event.aligned_ms for event in found.events]
    assert aligned == pytest.approx([ahead_ms] * len(aligned), abs=5.0)
    assert np.median([x for x in aligned if x is not None]) == pytest.approx(ahead_ms, abs=2.0)
    assert np.median([e.arrived_ms for e in found.events]) == pytest.approx(ahead_ms - late_ms, abs=2.0)


def test_a_flash_of_two_states_counts_for_the_brighter_one_and_is_told(film: Film) -> None:
    notes = received(film, ahead_ms=10.0)
    # Real frames up to the middle of a flash, frames of a hand-back from then on: the mean of both marks is SYNTH's.
    middle_ms = 5_000.0 + beep_start_ms(5) + BEEP_MS / 2 - 10.0
    notes.pictures = [
        (at, stamp, (first, second, MARK_RETURNING if at >= middle_ms else 0.0))
        for at, stamp, (first, second, _) in notes.pictures
    ]
    found = measure(notes)
    assert {event.state for event in found.events} == {"REAL", "RETURNING"}
    assert [event.mixed for event in found.events].count(True) == 1
    rows = {row["state"]: row for row in summarize(found)}
    assert rows["REAL"]["mixed"] + rows["RETURNING"]["mixed"] == 1 and "met" not in rows["RETURNING"]


def test_hand_backs_of_all_calls_give_one_verdict() -> None:
    run = {"events": [(0.0, "RETURNING", 10.0, 8.0, False)] * 5 + [(0.0, "RETURNING", None, 8.0, False)]}
    assert not pool([run])["met"] and pool([run])["events"] == 5
    assert pool([run, run])["met"]
    late = {"events": [(0.0, "RETURNING", -60.0, -60.0, False), (0.0, "REAL", -90.0, -90.0, False)]}
    assert not pool([run, run, late, late])["met"]


def test_a_beep_that_nobody_sees_is_counted(film: Film) -> None:
    notes = received(film, ahead_ms=0.0)
    notes.pictures = [
        (at, stamp, (0.0, 0.0, 0.0) if 7_000 < at < 8_000 else seen) for at, stamp, seen in notes.pictures
    ]
    found = measure(notes)
    assert found.beeps_alone in (2, 3) and found.flashes_alone <= 1


def test_without_sender_reports_nothing_is_aligned(film: Film) -> None:
    notes = received(film, ahead_ms=10.0)
    notes.reports["video"].clear()
    events = measure(notes).events
    assert events and all(event.aligned_ms is None for event in events)
    assert ntp_ms([], 0, 90_000, 1e9) is None
    assert np.isnan(quantiles([])).all() and quantiles([-3.0, 5.0])[1] == 4.0


@pytest.mark.parametrize("phase_ms", [0.0, 10.0, 30.0])
def test_the_beacon_lights_when_the_beep_is_heard(film: Film, phase_ms: float) -> None:
    start_ms, at_ms = 60.0, 1_060.0 + phase_ms
    path, renderer = SpeechPath(WINDOW, start_ms=start_ms), BeaconRenderer(WINDOW)
    assert renderer.observe(film.image(0), 0.0).found
    light: list[tuple[float, float, float]] = []
    for i in range(len(film.samples) // BLOCK_SAMPLES):
        path.push(film.samples[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES], 20.0 * i)
        while at_ms + 140.0 <= path.head_ms:
            image = renderer.render(path.window(at_ms), at_ms, speech=path.speech(at_ms)).image
            light.append((at_ms - start_ms, brightness(image, 0), brightness(image, 1)))
            at_ms += 40.0
    seen = np.array(light)
    off = []
    for number in range(3, 14):
        centre = beep_start_ms(number) + BEEP_MS / 2
        near = seen[np.abs(seen[:, 0] - centre) < 120.0]
        off.append(np.average(near[:, 0], weights=near[:, 1 + tone_of(number)]) - centre)
    assert np.median(off) == pytest.approx(0.0, abs=3.0)
    assert np.abs(off).max() < 10.0
    assert max(renderer.missing_ms) == 0.0


def test_the_beacon_says_how_much_it_did_not_hear() -> None:
    renderer = BeaconRenderer(WINDOW)
    with pytest.raises(RuntimeError):
        renderer.start(0.0)
    renderer.observe(np.zeros((240, 320, 3), np.uint8), 0.0)
    mel = np.random.default_rng(0).uniform(-4, 4, (80, WINDOW.columns)).astype(np.float32)
    mel[:, -3:] = mel[:, -4:-3]
    renderer.render(mel, 0.0, speech=True)
    assert renderer.missing_ms == [37.5]
    with pytest.raises(ValueError):
        BeaconRenderer(MelWindow(4, 40.0))
