"""The text of answers: Opus is asked for as speech, whatever the section looked like before."""

from aiortc.sdp import SessionDescription

from realtime.rtc.node.negotiate import SPEECH_FMTP, ask_for_speech

WANTED = "minptime=10;useinbandfec=1;usedtx=0;stereo=0;maxaveragebitrate=24000"


def sdp(*lines: str) -> str:
    return "\r\n".join(("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", *lines, ""))


def test_an_answer_without_fmtp_gets_one_right_after_its_map() -> None:
    before = sdp("m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "a=mid:0", "a=rtpmap:111 opus/48000/2", "a=rtpmap:0 PCMU/8000")
    assert ask_for_speech(before) == sdp(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
        "a=mid:0",
        "a=rtpmap:111 opus/48000/2",
        f"a=fmtp:111 {WANTED}",
        "a=rtpmap:0 PCMU/8000",
    )


def test_every_audio_section_and_payload_type_is_done_and_video_left_alone() -> None:
    video = ("m=video 9 UDP/TLS/RTP/SAVPF 97 98", "a=rtpmap:97 VP8/90000", "a=fmtp:97 x=1", "a=rtpmap:98 opus/48000/2")
    after = ask_for_speech(
        sdp(
            "m=audio 9 UDP/TLS/RTP/SAVPF 96",
            "a=rtpmap:96 OPUS/48000/2",
            *video,
            "m=audio 9 UDP/TLS/RTP/SAVPF 63 109",
            "a=rtpmap:63 red/48000/2",
            "a=fmtp:63 109/109",
            "a=rtpmap:109 opus/48000/2",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        )
    )
    assert [line for line in after.split("\r\n") if "fmtp" in line] == [
        f"a=fmtp:96 {WANTED}",
        "a=fmtp:97 x=1",
        "a=fmtp:63 109/109",
        f"a=fmtp:109 {WANTED}",
    ]
    assert "\r\n".join(video) in after


def test_parameters_already_there_are_replaced_where_they_are_ours_and_kept_where_not() -> None:
    for there in ("a=fmtp:111 minptime=20;stereo=1; cbr=1;sprop-stereo=0", "a=fmtp:111 cbr=1;sprop-stereo=0;stereo=1"):
        for lines in ((there, "a=rtpmap:111 opus/48000/2"), ("a=rtpmap:111 opus/48000/2", there)):
            after = ask_for_speech(sdp("m=audio 9 UDP/TLS/RTP/SAVPF 111", *lines))
            assert after == sdp(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111",
                "a=rtpmap:111 opus/48000/2",
                f"a=fmtp:111 {WANTED};cbr=1;sprop-stereo=0",
            )
            assert ask_for_speech(after) == after


def test_what_has_no_opus_is_left_as_it_is() -> None:
    for text in ("", "garbage", sdp("m=audio 9 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"), sdp("m=video 9 RTP/AVP 97")):
        assert ask_for_speech(text) == text
    unix = "v=0\nm=audio 9 RTP/AVP 111\na=rtpmap:111 opus/48000/2\n"
    assert ask_for_speech(unix) == f"{unix}a=fmtp:111 {WANTED}\n"


def test_aiortc_reads_what_we_write() -> None:
    text = ask_for_speech(
        sdp("m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=mid:0", "a=rtpmap:111 opus/48000/2")
    )
    codec = SessionDescription.parse(text).media[0].rtp.codecs[0]
    assert {name: str(value) for name, value in codec.parameters.items()} == SPEECH_FMTP
