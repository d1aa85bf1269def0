import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.rtc.send.bitrate import BitrateController


def control(initial: int = 600_000) -> BitrateController:
    return BitrateController(30_000, initial, 3_000_000)


def report(controller: BitrateController, loss: float, seconds: int, start_ms: float = 0.0) -> float:
    for second in range(seconds + 1):
        controller.loss(loss, start_ms + 1000.0 * second)
    return start_ms + 1000.0 * seconds


def test_loss_lowers_little_loss_raises_and_between_holds() -> None:
    controller = control()
    report(controller, 0.0, 1)
    assert controller.target == pytest.approx(648_000, abs=1)
    report(controller, 0.05, 9, 2_000.0)
    assert controller.target == pytest.approx(648_000, abs=1)
    controller.loss(0.4, 20_000.0)
    assert controller.target == pytest.approx(648_000 * 0.8, abs=1)
    report(controller, 1.0, 20, 21_000.0)
    assert controller.target == 30_000


def test_a_silence_is_no_reason_to_leap() -> None:
    controller = control()
    controller.loss(0.0, 0.0)
    controller.loss(0.0, 600_000.0)
    assert controller.target <= 600_000 * 1.13


def test_remb_is_a_ceiling_and_not_a_goal() -> None:
    controller = control()
    controller.remb(90_000)
    assert controller.target == 90_000
    controller.remb(9_000_000)
    assert controller.target == 600_000
    controller.remb(0)
    assert controller.target == 30_000


def test_nothing_grows_far_beyond_what_remb_lets_try() -> None:
    controller = control(100_000)
    controller.remb(100_000)
    now = report(controller, 0.0, 100)
    controller.remb(3_000_000)
    assert controller.target <= 150_000
    controller.loss(0.5, now + 1.0)
    assert controller.target <= 0.75 * 150_000


def test_a_growing_queue_lowers_the_rate_before_anything_is_lost() -> None:
    controller = control()
    controller.rtt(40.0, 0.0)
    for t in range(1, 6):
        controller.rtt(40.0 + 60.0 * t, 1000.0 * t)
        controller.loss(0.0, 1000.0 * t)
    assert controller.target < 600_000 * 1.08 * 0.85**3 + 1
    steady = control()
    for t in range(60):
        steady.rtt(300.0, 1000.0 * t)  # a long path is no queue
        steady.loss(0.0, 1000.0 * t)
    assert steady.target == 3_000_000


def test_a_trial_is_overruled_by_nothing_and_climbs_in_steps_afterwards() -> None:
    controller = control()
    controller.remb(40_000)
    controller.begin_trial(150_000, 0.0)
    for t in range(1, 4):
        controller.remb(40_000)
        controller.loss(0.5, 300.0 * t)
        controller.rtt(900.0, 300.0 * t)
        assert controller.encoder_rate(300.0 * t) == 150_000
    controller.end_trial()
    rates = [controller.encoder_rate(100.0 * t) for t in range(15, 100)]
    assert sorted(set(rates)) == [150_000, 240_000, 384_000, 600_000]
    assert rates.index(384_000) - rates.index(240_000) >= 20
    controller.remb(200_000)  # of after the trial
    assert controller.encoder_rate(11_000.0) == 200_000


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2000), st.floats(0, 5e6), st.floats(0, 3000)), max_size=100))
def test_the_encoder_is_changed_seldom_and_stays_within_bounds(
    reports: list[tuple[float, float, float, float]],
) -> None:
    controller, now, changes = control(), 0.0, [(float("-inf"), 600_000)]
    for loss, rtt, remb, gap in reports:
        controller.loss(loss, now)
        controller.rtt(rtt, now)
        controller.remb(remb)
        for step in range(int(gap // 40) + 1):
            rate = controller.encoder_rate(now + 40.0 * step)
            assert 30_000 <= rate <= 3_000_000
            at, before = changes[-1]
            if rate != before:
                waited = now + 40.0 * step - at
                assert waited >= (2_000.0 if rate > before else 1_000.0)
                assert before * 1.15 - 1 <= rate <= before * 1.6 + 1 or rate <= before * 0.85 + 1
                changes.append((now + 40.0 * step, rate))
        now += gap + 40.0


def test_thin_rates_make_pictures_rarer_but_no_step_is_a_freeze() -> None:
    intervals = [control().frame_interval_ms(rate) for rate in (30_000, 49_999, 50_000, 79_999, 80_000, 600_000)]
    assert intervals == [160.0, 160.0, 120.0, 120.0, 0.0, 0.0]
    assert max(intervals) < max(3 * 40.0, 40.0 + 150.0)  # W3C freezeCount, coming from 25 a second


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="floor <= initial <= ceiling"):
        BitrateController(50_000, 20_000, 100_000)
