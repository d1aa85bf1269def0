"""The page's pure modules, run by the browser they are written for: words, states, figures, waiting, the uplink."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser_hosts import open_page
from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(chromium: str, port: int) -> Iterator[Run]:
    """Give `run(module, "(m, given) => ...", given)`: a function's result with a module of the page as `m`."""
    from playwright.sync_api import sync_playwright

    started: Playwright
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = open_page(browser)
        page.goto(f"http://127.0.0.1:{port}/icon.svg")  # an empty place with the server's policy

        def call(module: str, function: str, given: object = None) -> Any:
            return page.evaluate(f"async (given) => ({function})(await import('/{module}'), given)", given)

        yield call
        browser.close()


def test_a_report_is_read(run: Run) -> None:
    text = '{"type":"output","state":"synth","since_ms":4200,"concealed":0.25,"skew_ms":-12,"more":1}'
    assert run("report.js", "(m, t) => m.readReport(t)", text) == {
        "state": "synth", "since_ms": 4200, "concealed": 0.25, "skew_ms": -12, "you": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", "{", '{"type":"output"}', '{"type":"ack","n":1}', '{"type":"output","state":"<b>"}',
     '{"type":"output","state":["real"]}', '{"type":"output","state":"real","pad":"' + "x" * 2048 + '"}', None, 7],
)  # fmt: skip
def test_what_is_no_report_is_left(run: Run, text: object) -> None:
    assert run("report.js", "(m, t) => m.readReport(t)", text) is None


def test_wild_numbers_in_a_report_are_tamed(run: Run) -> None:
    text = '{"type":"output","state":"real","since_ms":-5,"concealed":9,"skew_ms":1e999,"you":"yes"}'
    assert run("report.js", "(m, t) => m.readReport(t)", text) == {
        "state": "real", "since_ms": 0, "concealed": 1, "skew_ms": 0, "you": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "since_ms", "words"),
    [("synth", 4999, "synthetic since 4 s"), ("synth", 125_000, "synthetic since 2 min 5 s"),
     ("still", 7900, "mouth at rest, not real since 7 s"), ("real", 60_000, "real video"),
     ("waiting", 1, "waiting for video")],
)  # fmt: skip
def test_states_are_told_in_words(run: Run, state: str, since_ms: int, words: str) -> None:
    assert run("words.js", "(m, [s, t]) => m.shown(s, t)", [state, since_ms]) == words


@pytest.mark.parametrize(
    ("connected", "age_ms", "flow", "state"),
    [(True, 200, True, "synth"), (True, 5000, True, "plain"), (True, 5000, False, "waiting"),
     (False, 0, True, "reconnecting")],
)  # fmt: skip
def test_an_old_report_is_not_believed(run: Run, connected: bool, age_ms: int, flow: bool, state: str) -> None:
    seen = {"connected": connected, "reportAgeMs": age_ms, "framesFlow": flow,
            "report": {"state": "synth", "since_ms": 1000, "concealed": 0, "skew_ms": 0}}  # fmt: skip
    assert run("report.js", "(m, seen) => m.remoteState(seen)", seen) == state


def test_a_pause_for_breath_makes_no_picture_real(run: Run) -> None:
    script = """(m, reports) => {
      const log = new m.ReportLog();
      return reports.map(([now, state, since_ms]) => {
        log.take({state, since_ms}, now);
        return log.notRealMs(now + 50);
      });
    }"""
    reports = [
        [1000, "real", 900], [2000, "synth", 200], [3000, "synth", 1200], [4000, "still", 100], [5000, "synth", 0],
        [6000, "returning", 10], [7000, "still", 300], [20_000, "still", 100],
    ]  # fmt: skip
    assert run("report.js", script, reports) == [0, 250, 1250, 2250, 3250, 0, 350, 150]


def test_figures_come_from_two_readings(run: Run) -> None:
    readings = [
        {"v": {"type": "inbound-rtp", "kind": "video", "timestamp": t, "bytesReceived": b, "headerBytesReceived": 0,
               "packetsReceived": p, "packetsLost": lost, "jitterBufferDelay": 2.0, "jitterBufferEmittedCount": 40,
               "framesDecoded": 40, "freezeCount": 1, "totalFreezesDuration": 0.3},
         "p": {"type": "candidate-pair", "nominated": True, "state": "succeeded", "currentRoundTripTime": 0.02},
         "q": {"type": "candidate-pair", "nominated": False, "state": "waiting", "currentRoundTripTime": 9}}
        for t, b, p, lost in [(1000, 1000, 10, 0), (3000, 26_000, 100, 10)]
    ]  # fmt: skip
    script = """(m, [first, second]) => {
      const before = m.received(new Map(Object.entries(first)), null);
      return {before, now: m.received(new Map(Object.entries(second)), before)};
    }"""
    got = run("stats.js", script, readings)
    assert math.isnan(got["before"]["rate"])
    now = got["now"]
    assert now["rate"] == 100_000 and now["loss"] == pytest.approx(0.1) and now["roundTrip"] == 0.02
    assert now["videoDelay"] == 0.05 and now["framesDecoded"] == 40
    assert now["freezeCount"] == 1 and now["totalFreezesDuration"] == 0.3


def test_a_new_connection_makes_no_negative_rate(run: Run) -> None:
    script = """(m) => m.sent(new Map([["o", {type: "outbound-rtp", timestamp: 9000, bytesSent: 5}]]),
                              {at: 8, bytes: 10_000}).rate"""
    assert math.isnan(run("stats.js", script))


def test_waits_double_up_to_five_seconds(run: Run) -> None:
    waits = run("signaling.js", "(m) => [0, 1, 2, 3, 4, 50].map((n) => m.retryWait(n, 0))")
    assert waits == [500, 1000, 2000, 4000, 5000, 5000]
    assert run("signaling.js", "(m) => m.retryWait(0, 1)") == 625


@pytest.mark.parametrize("token", ["plain", "a b&c=d#e?f%41", "zür/ich+"])
def test_a_shared_link_gives_back_room_and_token(run: Run, token: str) -> None:
    script = """(m, token) => {
      const link = m.shareLink("https://example.org:8/?room=old#token=x", "a.b-c_d", token);
      return [link, m.readAddress(link), m.signalingAddress(link)];
    }"""
    link, read, signaling = run("room.js", script, token)
    assert read == {"room": "a.b-c_d", "token": token}
    assert "#" in link and token not in link.partition("#")[0]
    assert signaling == "wss://example.org:8/"


def test_a_session_is_what_the_server_takes_and_new_each_time(run: Run) -> None:
    sessions = run("room.js", "(m) => Array.from({length: 50}, () => m.newSession())")
    assert len(set(sessions)) == 50
    assert all(len(each) == 32 and each.replace("-", "").replace("_", "").isalnum() for each in sessions)


# One reading a second; each is loss and round trip (s) by the receiver's report, or null where none came.
GUARD = """(m, readings) => {
  const guard = new m.UplinkGuard();
  return readings.map((reading, second) => guard.look(second * 1000, reading
    ? {loss: reading[0], reportedRoundTrip: reading[1], reportedAt: second + 1}
    : {loss: 1, reportedRoundTrip: 9, reportedAt: 0}));
}"""
GOOD, LOSSY, LATE, SOME = [0.0, 0.03], [0.6, 0.03], [0.0, 1.2], [0.1, 0.05]


@pytest.mark.parametrize("bad", [LOSSY, LATE])
def test_video_rests_after_two_bad_reports(run: Run, bad: list[float]) -> None:
    states = run("uplink.js", GUARD, [GOOD, GOOD, bad, bad] + [GOOD] * 6)
    assert states == [False, False, False, True, True, True, True, True, True, True]


def test_one_bad_report_or_some_loss_stops_nothing(run: Run) -> None:
    assert not any(run("uplink.js", GUARD, [GOOD, LOSSY, GOOD, LOSSY, GOOD, LATE, GOOD] + [SOME] * 20))


def test_an_old_report_is_not_counted_twice(run: Run) -> None:
    assert not any(run("uplink.js", GUARD, [GOOD, LOSSY, None, None, None, None]))


# A link of so many kbit/s from so many seconds on (0: nothing passes), round trips of 20 ms and up to `noise` ms more.
# Video loses half of its packets below 200 kbit/s, or all the time (`lossy`). Gives when video rested and came back,
# and the bytes of pings, in s and bytes.
LINK = """(m, {rates, seconds, noise = 0, lossy = false, deaf = false}) => {
  const guard = new m.UplinkGuard(), turns = [], pongs = [];
  guard.answered = !deaf;
  let saving = false, bytes = 0, random = 1, free = 0;
  const send = (ping, now, rate) => {
    if (!ping) return;
    bytes += ping.pad + 100;
    if (rate === 0 || deaf) return;
    free = Math.max(free, now) + (8 * (ping.pad + 100)) / rate;
    random = (random * 48271) % 2147483647;
    pongs.push([free + 20 + (random / 2147483647) * noise, ping.n]);
  };
  for (let now = 0; now < seconds * 1000; now += 10) {
    const rate = rates.findLast(([from]) => from * 1000 <= now)[1];
    if (now % 1000 === 0) {
      const bad = !guard.saving && (lossy || rate < 200);
      guard.look(now, {loss: bad ? 0.5 : 0, reportedRoundTrip: 0.02, reportedAt: now + 1});
    }
    if (now % 100 === 0) send(guard.ping(now), now, rate);
    for (const [at, n] of pongs.splice(0)) {
      if (at > now) pongs.push([at, n]);
      else send(guard.pong(now, n), now, rate);
    }
    if (guard.saving !== saving) turns.push(now / 1000);
    saving = guard.saving;
  }
  return {turns, bytes};
}"""


@pytest.mark.parametrize("noise", [0, 50])
@pytest.mark.parametrize("bad", [0, 20, 40, 100])
def test_video_comes_back_soon_after_the_link(run: Run, bad: int, noise: int) -> None:
    turns = run("uplink.js", LINK, {"rates": [[0, 5000], [5, bad], [30, 5000]], "seconds": 60, "noise": noise})["turns"]
    assert len(turns) == 2 and 5 < turns[0] <= 7 and 30 < turns[1] <= 35


@pytest.mark.parametrize("noise", [0, 50])
@pytest.mark.parametrize("rate", [40, 60, 100])
def test_a_link_that_stays_narrow_is_not_tried_with_video(run: Run, rate: int, noise: int) -> None:
    got = run("uplink.js", LINK, {"rates": [[0, 5000], [5, rate]], "seconds": 120, "noise": noise})
    assert len(got["turns"]) == 1
    assert got["bytes"] * 8 / 113 < 0.12 * rate * 1000, "speech at its narrowest takes 28 of 40 kbit/s"


def test_every_failed_return_doubles_the_wait(run: Run) -> None:
    # A link with room, on which video fails all the same.
    turns = run("uplink.js", LINK, {"rates": [[0, 5000]], "seconds": 200, "lossy": True})["turns"]
    rests = [back - since for since, back in zip(turns[::2], turns[1::2], strict=False)]
    assert rests[0] < 3
    assert [int(each) for each in rests[1:7]] == [2, 4, 8, 16, 32, 32]


def test_video_is_tried_where_nobody_answers_pings(run: Run) -> None:
    turns = run("uplink.js", LINK, {"rates": [[0, 5000], [5, 100], [8, 5000]], "seconds": 40, "deaf": True})["turns"]
    assert len(turns) == 2 and 8 <= turns[1] - turns[0] < 11


def test_the_browser_is_asked_for_a_least_rate_of_video_only(run: Run) -> None:
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    video = (
        "m=video 9 UDP/TLS/RTP/SAVPF 97 98 99\r\na=mid:1\r\na=rtpmap:97 VP8/90000\r\na=rtcp-fb:97 nack\r\n"
        "a=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=97\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 packetization-mode=1\r\n"
    )
    got = run("publish.js", "(m, sdp) => m.withLeastRate(sdp)", f"v=0\r\n{audio}{video}")
    floor = "x-google-min-bitrate=150"
    assert got == f"v=0\r\n{audio}{video}".replace("VP8/90000\r\n", f"VP8/90000\r\na=fmtp:97 {floor}\r\n").replace(
        "a=fmtp:99 ", f"a=fmtp:99 {floor};"
    )
