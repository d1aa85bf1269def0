import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.rtc.badlink.link import ImpairedLink, LinkStep, LinkTrace
from realtime.rtc.send.uplink import (
    Action,
    LiftLimit,
    PauseVideo,
    ResumeVideo,
    SendPing,
    UplinkConfig,
    UplinkState,
    UplinkWatch,
)

DOWN_MS = 20.0
VIDEO_BPS = 500_000


@dataclass
class Simulation:
    """A caller whose speech, video and pings share an impaired uplink, on a made clock of 5 ms steps."""

    link: ImpairedLink
    watch: UplinkWatch = field(default_factory=UplinkWatch)
    now_ms: float = 0.0
    video_bps: float = VIDEO_BPS
    pings: list[tuple[float, int]] = field(default_factory=list)
    """When each was sent, and the bytes that it and its ack take."""
    pongs: list[tuple[float, int]] = field(default_factory=list)
    log: list[tuple[float, Action]] = field(default_factory=list)
    speech: list[float | None] = field(default_factory=list)
    video_bytes: list[tuple[float, int]] = field(default_factory=list)

    def run(self, until_ms: float) -> None:
        while self.now_ms < until_ms:
            self.step()

    def step(self) -> None:
        self.now_ms += 5.0
        for due, number in [p for p in self.pongs if p[0] <= self.now_ms]:
            self.pongs.remove((due, number))
            self.carry_out(self.watch.pong(number, self.now_ms))
        if self.now_ms % 20 == 0:
            sent = self.link.send(self.now_ms, 90)
            self.speech.append(None if sent is None else sent - self.now_ms)
            self.carry_out(self.watch.tick(self.now_ms))
        if self.now_ms % 40 == 0 and self.video_bps:
            left = int(self.video_bps * 0.04 / 8)
            while left > 0:
                size = min(left, 1200)
                self.link.send(self.now_ms, size)
                self.video_bytes.append((self.now_ms, size))
                left -= size

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, SendPing):
                self.pings.append((self.now_ms, 117 + 93 + action.pad))
                arrival = self.link.send(self.now_ms, 95 + action.pad)
                if arrival is not None:
                    self.pongs.append((arrival + DOWN_MS, action.number))
                continue
            self.log.append((self.now_ms, action))
            if isinstance(action, PauseVideo):
                self.video_bps = 0.0
            elif isinstance(action, ResumeVideo):
                self.video_bps = action.bitrate
            else:
                self.video_bps = VIDEO_BPS

    def events(self, kind: type[Action]) -> list[float]:
        return [t for t, action in self.log if isinstance(action, kind)]


def simulate(*steps: tuple[float, float], delay: float = 20.0, jitter: float = 5.0, loss: float = 0.0) -> Simulation:
    trace = LinkTrace(tuple(LinkStep(t, rate, delay, jitter, loss) for t, rate in steps))
    return Simulation(ImpairedLink(trace, seed=1))


def test_the_demo_trace_pauses_at_once_and_comes_back_soon() -> None:
    sim = simulate((0, 2000), (6000, 60), (14000, 2000))
    sim.run(20_000)
    (paused,), (resumed,), (lifted,) = sim.events(PauseVideo), sim.events(ResumeVideo), sim.events(LiftLimit)
    assert 6000 < paused <= 6350
    assert 14_000 < resumed <= 17_000
    assert lifted - resumed == pytest.approx(UplinkConfig().trial_ms, abs=40)
    assert sim.watch.state is UplinkState.SENDING
    # No video at all while the link is narrow, and speech gets through: after the queue's own 300 ms none is lost, and
    # later only a padded ping delays it.
    assert not [t for t, _ in sim.video_bytes if paused < t < 14_000]
    assert all(delay is not None for delay in sim.speech[6700 // 20 : 14_000 // 20])
    assert max(delay for delay in sim.speech[8000 // 20 : 14_000 // 20] if delay is not None) < 20 + 160


def test_a_link_that_stays_narrow_never_flaps() -> None:
    sim = simulate((0, 2000), (3000, 60))
    sim.run(120_000)
    assert len(sim.events(PauseVideo)) == 1
    assert sim.events(ResumeVideo) == []


def test_a_link_with_room_for_probes_but_not_for_video_is_tried_ever_more_rarely() -> None:
    # 170 kbit/s: a padded ping alone is quick enough, the trial's 150 kbit/s beside speech and pings are not.
    sim = simulate((0, 2000), (3000, 172), jitter=0.0)
    sim.run(120_000)
    resumed = sim.events(ResumeVideo)
    gaps = [b - a for a, b in zip(resumed, resumed[1:], strict=False)]
    assert len(resumed) <= 8 and gaps == sorted(gaps)


def test_an_outage_pauses_and_its_end_resumes() -> None:
    sim = simulate((0, 2000), (3000, 0), (6000, 2000))
    sim.run(12_000)
    assert 3000 < sim.events(PauseVideo)[0] <= 3320
    assert 7000 <= sim.events(ResumeVideo)[0] <= 9000


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05])
def test_a_good_link_with_jitter_and_some_loss_is_left_alone(loss: float) -> None:
    sim = simulate((0, 2000), delay=60.0, jitter=60.0, loss=loss)
    sim.run(60_000)
    assert sim.log == []


def test_our_own_stall_is_no_fault_of_the_link() -> None:
    sim = simulate((0, 2000))
    sim.run(3000)
    sim.now_ms += 1000.0  # the event loop slept; pongs lie in the socket
    sim.run(6000)
    assert sim.log == []


def test_heavy_loss_pauses_and_a_stale_report_after_the_return_does_not() -> None:
    sim = simulate((0, 2000))
    sim.run(3000)
    assert sim.watch.loss(0.2, sim.now_ms) == []
    sim.carry_out(sim.watch.loss(0.5, sim.now_ms))
    assert len(sim.events(PauseVideo)) == 1
    sim.run(8000)
    assert len(sim.events(ResumeVideo)) == 1
    assert sim.watch.state is UplinkState.SENDING
    back = UplinkWatch()
    back.tick(5.0)
    back.state = UplinkState.TRIAL
    assert back.loss(0.9, 10.0) == []


def test_without_any_pong_nothing_is_decided() -> None:
    watch = UplinkWatch()
    actions = [a for i in range(500) for a in watch.tick(20.0 * i)]
    assert {type(a) for a in actions} == {SendPing}
    assert watch.pong(12345, 1e6) == []


def test_time_must_not_go_back() -> None:
    watch = UplinkWatch()
    watch.tick(10.0)
    with pytest.raises(ValueError, match="back"):
        watch.tick(9.0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("tick"), st.floats(0, 400)),
            st.tuples(st.just("pong"), st.integers(0, 80)),
            st.tuples(st.just("loss"), st.floats(0, 1)),
        ),
        max_size=200,
    )
)
def test_whatever_comes_pause_and_resume_alternate_and_pings_rise(events: list[tuple[str, float]]) -> None:
    watch = UplinkWatch()
    now, flows, number = 0.0, True, 0
    for kind, value in events:
        if kind == "tick":
            now += value
            actions = watch.tick(now)
        else:
            actions = watch.pong(int(value), now) if kind == "pong" else watch.loss(value, now)
        for action in actions:
            if isinstance(action, SendPing):
                assert action.number == number + 1
                number = action.number
            elif isinstance(action, PauseVideo):
                assert flows
                flows = False
            elif isinstance(action, ResumeVideo):
                assert not flows
                flows = True
        assert flows == (watch.state in (UplinkState.SENDING, UplinkState.TRIAL))
    assert watch.floor_ms is None or math.isfinite(watch.floor_ms)


@pytest.mark.parametrize(("rate", "returns"), [(60, False), (100, False), (400, True), (1000, True)])
def test_probes_tell_a_narrow_link_from_a_wide_one(rate: float, returns: bool) -> None:
    sim = simulate((0, 2000), (3000, 0), (4000, rate), jitter=10.0)
    sim.run(20_000)
    assert bool(sim.events(ResumeVideo)) == returns


def test_a_loop_that_is_always_late_still_sees_an_outage() -> None:
    watch = UplinkWatch()
    now, actions = 0.0, []
    for i in range(200):
        now += 45.0
        actions = watch.tick(now)
        if i < 20:
            for action in actions:
                if isinstance(action, SendPing):
                    watch.pong(action.number, now + 1.0)
                    now += 1.0
        if watch.state is UplinkState.PAUSED:
            break
    assert watch.state is UplinkState.PAUSED and i < 40


def test_pings_are_rare_while_video_rests_and_less_so_when_nothing_comes_back() -> None:
    config = UplinkConfig()
    watch = UplinkWatch(config)
    sent: list[float] = []
    due: list[tuple[float, int]] = []
    for now in range(0, 20_000, 20):
        for action in watch.tick(float(now)):
            if isinstance(action, SendPing):
                sent.append(float(now))
                # The link is slow until 10 s, and then carries nothing.
                due += [(now + (10.0 if now < 1000 else 300.0), action.number)] if now < 10_000 else []
        for _, number in [entry for entry in due if entry[0] <= now]:
            watch.pong(number, float(now))
        due = [entry for entry in due if entry[0] > now]
        assert now < 1500 or watch.state is UplinkState.PAUSED

    def gaps(start_ms: float, end_ms: float) -> set[float]:
        rows = [at for at in sent if start_ms <= at < end_ms]
        return {b - a for a, b in zip(rows, rows[1:], strict=False)}

    assert gaps(0, 1000) == {60.0}
    assert gaps(3000, 10_000) == {config.paused_ping_ms}
    assert gaps(12_500, 20_000) == {config.lost_ping_ms}


def test_what_the_watch_sends_beside_speech_stays_small() -> None:
    """12 kbit/s of pings and their acks on any link that video rests on, in the worst two seconds."""
    for rate in (0, 40, 60, 100):
        sim = simulate((0, 2000), (1000, rate))
        sim.run(30_000)
        (paused,) = sim.events(PauseVideo)
        worst = max(
            sum(size for at, size in sim.pings if t <= at < t + 2000) for t in range(int(paused) + 100, 28_000, 100)
        )
        assert worst * 8 / 2000 <= 12.0, rate


@pytest.mark.parametrize("rate", [100, 300])
def test_watching_more_closely_does_not_bring_speech_sooner_out_of_a_queue_that_fills_at_once(rate: float) -> None:
    late = []
    for config in (UplinkConfig(), UplinkConfig(ping_ms=25.0, rise_ms=40.0, missing_ms=60.0)):
        sim = simulate((0, 2000), (3000, rate), jitter=0.0)
        sim.watch, sim.video_bps = UplinkWatch(config), 600_000
        sim.run(3900)
        assert len(sim.events(PauseVideo)) == 1
        late.append(max(delay for delay in sim.speech[3000 // 20 :] if delay is not None))
    assert late[0] - late[1] < 10.0 and late[1] > 280.0
