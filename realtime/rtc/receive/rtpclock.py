"""Map RTP timestamps to our monotonic clock, and join sound and picture by sender reports (RFC 3550, 6.4.1). Pure.

Media time is the local monotonic time in ms at which a sample or frame would have been captured if the fastest packet
had taken no time: constant network delay is part of it, queueing is not.
"""

from collections import deque
from statistics import median

from realtime.media import AUDIO_RATE
from realtime.serial import unwrap

WINDOW_MS = 2_000.0
BUCKET_MS = 100.0
BOOTSTRAP_MS = 500.0
SLEW_MS_PER_S = 10.0
MAX_REPORTS = 8
REPORT_STEP_MS = 500.0
# Reports are compared in pairs of one moment. A step of the sender's clock falls between the two reports of one pair at
# most, so that the median over the pairs hardly moves.
PAIRS = 5
PAIR_NOISE_MS = 50.0
RESTART_MS = 10_000.0
VIDEO_RATE = 90_000


class RtpClock:
    """Follow the clock of one RTP stream (one SSRC). Pure; times in ms, timestamps as on the wire (uint32).

    Until `BOOTSTRAP_MS` after the first packet the mapping may only step down, to a faster packet; afterwards it slews
    by at most `SLEW_MS_PER_S` and never steps. A jump of the stream itself (another SSRC, a restarted timestamp) begins
    a new mapping.
    """

    def __init__(self, clock_rate: int) -> None:
        if clock_rate <= 0:
            raise ValueError("clock_rate must be above 0 Hz")
        self._rate_per_ms = clock_rate / 1000.0
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._highest: int | None = None  # unwrapped
        self._offset_ms = 0.0
        self._first_arrival_ms = 0.0
        self._last_slew_ms = 0.0
        self._buckets: deque[tuple[float, float]] = deque()  # (bucket number, least arrival - rtp in it)
        self._reports: deque[tuple[float, float]] = deque(maxlen=MAX_REPORTS * PAIRS)  # (media ms, NTP - RTP)

    @property
    def ready(self) -> bool:
        """Whether a packet has been seen, so that `media_ms` has an answer."""
        return self._highest is not None

    @property
    def ntp_offset_ms(self) -> float | None:
        """NTP time minus RTP time (unwrapped) at the sender, in ms; None before its first report.

        Most senders pair a timestamp with the time at which they sent it: the least of the last reports contains the
        least encoding and pacing.
        """
        return min(offset for _, offset in list(self._reports)[-MAX_REPORTS:]) if self._reports else None

    @property
    def newest_report(self) -> tuple[float, float] | None:
        """Newest of `reports`; None before the first."""
        return self._reports[-1] if self._reports else None

    @property
    def reports(self) -> list[tuple[float, float]]:
        """Last sender reports, oldest first: media time in ms, and NTP minus RTP time in ms."""
        return list(self._reports)

    def unwrap(self, rtp_timestamp: int) -> int:
        """Return `rtp_timestamp` without its 32-bit wrap, nearest to the newest timestamp seen."""
        if self._highest is None:
            return rtp_timestamp
        return unwrap(rtp_timestamp, self._highest, 32)

    def rtp_ms(self, rtp_timestamp: int) -> float:
        """Return the stream's own time in ms (unwrapped timestamp over clock rate)."""
        return self.unwrap(rtp_timestamp) / self._rate_per_ms

    def observe(self, rtp_timestamp: int, arrival_ms: float) -> None:
        """Note that a packet with this timestamp arrived at `arrival_ms` (monotonic)."""
        unwrapped = self.unwrap(rtp_timestamp)
        transit_ms = arrival_ms - unwrapped / self._rate_per_ms
        if self._highest is None:
            self._begin(transit_ms, arrival_ms)
        elif abs(transit_ms - self._offset_ms) > RESTART_MS:
            self.reset()
            unwrapped = rtp_timestamp
            transit_ms = arrival_ms - unwrapped / self._rate_per_ms
            self._begin(transit_ms, arrival_ms)
        self._highest = unwrapped if self._highest is None else max(self._highest, unwrapped)
        self._remember(transit_ms, arrival_ms)
        self._follow(arrival_ms)

    def sender_report(self, ntp_ms: float, rtp_timestamp: int) -> None:
        """Add a sender report; one that differs from the last by half a second (a clock step) replaces them all."""
        offset_ms = ntp_ms - self.rtp_ms(rtp_timestamp)
        if self._reports and abs(offset_ms - self._reports[-1][1]) > REPORT_STEP_MS:
            self._reports.clear()
        self._reports.append((self.rtp_ms(rtp_timestamp) + self._offset_ms, offset_ms))

    def media_ms(self, rtp_timestamp: int) -> float:
        """Return the media time of a timestamp.

        Raises:
            RuntimeError: no packet has been observed yet.
        """
        if self._highest is None:
            raise RuntimeError("no packet observed yet: call observe() first")
        return self.rtp_ms(rtp_timestamp) + self._offset_ms

    def _begin(self, transit_ms: float, arrival_ms: float) -> None:
        self._offset_ms = transit_ms
        self._first_arrival_ms = self._last_slew_ms = arrival_ms

    def _remember(self, transit_ms: float, arrival_ms: float) -> None:
        number = arrival_ms // BUCKET_MS
        if self._buckets and self._buckets[-1][0] >= number:
            last, least = self._buckets[-1]
            self._buckets[-1] = (last, min(least, transit_ms))
        else:
            self._buckets.append((number, transit_ms))
        while self._buckets[0][0] < number - WINDOW_MS / BUCKET_MS:
            self._buckets.popleft()

    def _follow(self, arrival_ms: float) -> None:
        target_ms = min(least for _, least in self._buckets)
        elapsed_ms = max(0.0, arrival_ms - self._last_slew_ms)
        self._last_slew_ms = max(self._last_slew_ms, arrival_ms)
        if arrival_ms - self._first_arrival_ms <= BOOTSTRAP_MS:
            self._offset_ms = min(self._offset_ms, target_ms)
            return
        # A pause adds no right to a big step: at most a tenth of a second's worth at once.
        limit_ms = SLEW_MS_PER_S * min(elapsed_ms, BUCKET_MS) / 1000.0
        self._offset_ms += max(-limit_ms, min(limit_ms, target_ms - self._offset_ms))


class StreamPair:
    """Put a peer's audio and video (one CNAME, so one sender clock) on one media clock, that of the audio.

    While both have sender reports, these say where video lies against audio; otherwise video goes by its own arrival,
    which is later by what its encoding takes. Once video has been shown, the change from one to the other is slewed at
    `SLEW_MS_PER_S` and never stepped.
    """

    def __init__(self) -> None:
        self.audio = RtpClock(AUDIO_RATE)
        self.video = RtpClock(VIDEO_RATE)
        self._correction_ms: float | None = None  # added to the video's own mapping
        self._corrected_at_ms = 0.0
        self._compared: object = None
        self._between_ms = 0.0

    def audio_ms(self, rtp_timestamp: int) -> float:
        """Return the media time of an audio timestamp; raises RuntimeError before the first audio packet."""
        return self.audio.media_ms(rtp_timestamp)

    def video_ms(self, rtp_timestamp: int) -> float:
        """Return the media time of a video timestamp; raises RuntimeError before the first video packet."""
        own_ms = self.video.media_ms(rtp_timestamp)
        wanted_ms = self._wanted_correction_ms()
        if self._correction_ms is None:
            self._correction_ms = wanted_ms
        elapsed_ms = min(max(0.0, own_ms - self._corrected_at_ms), 1000.0)
        self._corrected_at_ms = max(self._corrected_at_ms, own_ms)
        limit_ms = SLEW_MS_PER_S * elapsed_ms / 1000.0
        self._correction_ms += max(-limit_ms, min(limit_ms, wanted_ms - self._correction_ms))
        return own_ms + self._correction_ms

    @property
    def synchronized(self) -> bool:
        """Whether both streams have sender reports, so that lip sync does not depend on arrival alone."""
        return self.audio.ntp_offset_ms is not None and self.video.ntp_offset_ms is not None

    def _wanted_correction_ms(self) -> float:
        if not self.synchronized or not self.audio.ready or not self.video.ready:
            return 0.0
        # At the sender's NTP instant N: audio media = N - audio_ntp + audio offset; the video's must be the same.
        audio_shift = self.audio.media_ms(0) - self.audio.rtp_ms(0)
        video_shift = self.video.media_ms(0) - self.video.rtp_ms(0)
        newest = self.audio.newest_report, self.video.newest_report
        if newest != self._compared:
            self._compared, self._between_ms = newest, self._ntp_between()
        return audio_shift - video_shift + self._between_ms

    def _ntp_between(self) -> float:
        """Return how much larger NTP minus RTP time is for video: the median over pairs of reports of one moment."""
        video = self.video.reports
        differences = []
        for at_ms, audio_offset in self.audio.reports[-PAIRS:]:
            near = sorted(video, key=lambda report: abs(report[0] - at_ms))[:2]
            # Of two that agree the smaller one contains less encoding and pacing.
            offsets = [offset for _, offset in near if abs(offset - near[0][1]) <= PAIR_NOISE_MS]
            differences.append((abs(near[0][0] - at_ms), min(offsets) - audio_offset))
        together = [difference for apart_ms, difference in differences if apart_ms <= REPORT_STEP_MS * 3]
        return median(together) if together else differences[-1][1]
