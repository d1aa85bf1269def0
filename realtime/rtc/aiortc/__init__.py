"""The one door to aiortc's private parts, against the one release that they were read and tested with.

Behind it, `receiver` takes packets, reports and goodbyes, `sender` steers a video encoder, `reports` corrects sender
reports and holds them back, `wire` reaches datagrams, and `guard` refuses another release. Every piece says its cause
(what is missing in public), its evidence (where it was read in aiortc 1.16.0) and its removal (when it can go). All of
them act on instances, never on aiortc's classes or modules. Nothing outside this folder imports the files in it.
"""

from realtime.rtc.aiortc.guard import AiortcVersionError, Undo, require_tested_aiortc
from realtime.rtc.aiortc.receiver import (
    MediaPacket,
    OnPacket,
    SenderReport,
    VideoFeedback,
    lift_remb,
    take_packets,
    tap_bye,
    tap_sender_reports,
)
from realtime.rtc.aiortc.reports import quiet_reports, report_media_time
from realtime.rtc.aiortc.sender import EncoderRate, RateController, SenderFeedback, tap_sender_feedback
from realtime.rtc.aiortc.wire import (
    Forward,
    ReceiveHook,
    SendHook,
    intercept_receive,
    intercept_send,
    read_at_once,
    survive_dead_path,
)

__all__ = [
    "AiortcVersionError",
    "EncoderRate",
    "Forward",
    "MediaPacket",
    "OnPacket",
    "RateController",
    "ReceiveHook",
    "SendHook",
    "SenderFeedback",
    "SenderReport",
    "Undo",
    "VideoFeedback",
    "intercept_receive",
    "intercept_send",
    "lift_remb",
    "quiet_reports",
    "read_at_once",
    "report_media_time",
    "require_tested_aiortc",
    "survive_dead_path",
    "take_packets",
    "tap_bye",
    "tap_sender_feedback",
    "tap_sender_reports",
]
