import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from peers import MakePc, Negotiate, Until

from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock
from realtime.rtc.aiortc import SenderFeedback, take_packets, tap_sender_feedback
from realtime.rtc.badlink.transport import ImpairedReceive
from realtime.rtc.control import CHANNEL, Control, ControlChannel, ControlType, open_channel
from realtime.rtc.send.tracks import BlockAudioTrack

CLOCK = MonotonicClock()


class Speech:
    """Speech from `a` to `b`, and a data channel."""

    def __init__(self, a: RTCPeerConnection, b: RTCPeerConnection) -> None:
        self.a, self.b = a, b
        self.track = BlockAudioTrack(CLOCK, zero_ms=CLOCK.now_ms())
        self.sender = a.addTrack(self.track)
        self.channel = open_channel(a)
        self.pongs: list[object] = []
        self.channel.on("message", self.pongs.append)
        self.sequences: list[int] = []
        self.fed = 0
        self.feedback: list[SenderFeedback] = []
        ControlChannel(b)

    def listen(self) -> None:
        receiver = self.b.getReceivers()[0]
        take_packets(receiver, lambda packet, at: self.sequences.append(packet.sequence), CLOCK)
        tap_sender_feedback(self.sender, self.feedback.append)

    async def feed(self) -> None:
        while True:
            self.track.put_block(AudioBlock(np.zeros(BLOCK_SAMPLES, np.int16), CLOCK.now_ms()))
            self.fed += 1
            await asyncio.sleep(0.02)


@pytest.fixture
async def speech(make_pc: MakePc, negotiate: Negotiate, until: Until) -> AsyncIterator[Speech]:
    speech = Speech(make_pc(), make_pc())
    feeder = asyncio.create_task(speech.feed())
    await negotiate(speech.a, speech.b)
    speech.listen()
    await until(lambda: len(speech.sequences) > 3 and speech.channel.readyState == "open")
    yield speech
    feeder.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await feeder


async def test_a_closed_link_lets_data_pass_but_no_media_and_opens_again(speech: Speech, until: Until) -> None:
    impaired = ImpairedReceive(speech.b, CLOCK)
    count = len(speech.sequences)
    await until(lambda: len(speech.sequences) > count + 3)  # no limit yet
    impaired.set_rate(0.0)
    count, fed = len(speech.sequences), speech.fed
    await until(lambda: speech.fed >= fed + 25)
    assert len(speech.sequences) == count
    speech.channel.send(Control(ControlType.PING, 1).encode())
    await until(lambda: bool(speech.pongs))
    impaired.set_rate(None)
    await until(lambda: len(speech.sequences) > count + 3)
    assert (speech.sequences[count] - speech.sequences[count - 1]) % 65536 > 5
    # What was held back was never counted as received: the sender hears of it as loss.
    await until(lambda: any((f.fraction_lost or 0.0) > 0.1 for f in speech.feedback))
    await impaired.close()
    await impaired.close()
    assert speech.b.connectionState == "connected"


async def test_a_narrow_link_delivers_at_its_rate_and_what_waits_goes_on_at_the_next(
    speech: Speech, until: Until
) -> None:
    impaired = ImpairedReceive(speech.b, CLOCK)
    count, start = len(speech.sequences), CLOCK.now_ms()
    impaired.set_rate(5.0)  # about eight packets a second
    await until(lambda: len(speech.sequences) >= count + 8)
    passed = len(speech.sequences) - count
    least_bytes = 12 + 16 + 28 + 3
    assert passed <= 5.0 * (CLOCK.now_ms() - start) / 8.0 / least_bytes + 1
    impaired.set_rate(None)
    await until(lambda: len(speech.sequences) > count + passed + 5)
    await impaired.close()


async def test_a_message_passes_the_same_link_as_the_media(speech: Speech, until: Until) -> None:
    impaired = ImpairedReceive(speech.b, CLOCK)
    arrivals: list[tuple[str, float]] = []

    def carry(what: str) -> None:
        impaired.carry(1000, lambda: arrivals.append((what, CLOCK.now_ms())))

    carry("free")
    assert len(arrivals) == 1  # no limit yet
    impaired.set_rate(0.0)
    carry("closed")
    impaired.set_rate(40.0)
    start = CLOCK.now_ms()
    carry("slow")
    await until(lambda: len(arrivals) == 2)
    assert arrivals[1][1] - start > 8.0 * 1000 / 40.0
    impaired.set_rate(None)
    carry("free again")
    await until(lambda: len(arrivals) == 3)
    # The link keeps the order: what met it closed would have come before.
    assert [what for what, _ in arrivals] == ["free", "slow", "free again"]
    await impaired.close()


async def test_a_bad_rate_and_a_connection_without_transport_are_refused(speech: Speech, make_pc: MakePc) -> None:
    impaired = ImpairedReceive(speech.b, CLOCK)
    with pytest.raises(ValueError, match="rates >= 0"):
        impaired.set_rate(-5.0)
    await impaired.close()
    pc = make_pc()
    with pytest.raises(RuntimeError, match="both descriptions"):
        ImpairedReceive(pc, CLOCK)
    await pc.close()
    assert speech.channel.label == CHANNEL
