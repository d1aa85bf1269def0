"""SDP of the node: read an offer and answer it, with Opus for speech; and remote candidates."""

import logging
import re
from collections.abc import Callable

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import candidate_from_sdp

_LOG = logging.getLogger(__name__)

SPEECH_FMTP = {"minptime": "10", "useinbandfec": "1", "usedtx": "0", "stereo": "0", "maxaveragebitrate": "24000"}
"""Opus as we want to receive it (RFC 7587, 6.1): mono speech at 24 kbit/s with forward error correction."""

_OPUS = re.compile(r"a=rtpmap:(\d+) opus/48000(?:/\d+)?\s*$", re.IGNORECASE)
_FMTP = re.compile(r"a=fmtp:(\d+) (.*)$", re.IGNORECASE)


class NegotiationError(ValueError):
    """An offer could not be answered; the text says why."""


async def answer(pc: RTCPeerConnection, offer_sdp: str, prepare: Callable[[], None] | None = None) -> str:
    """Answer an offer: set it, call `prepare` (tracks to send), and return the answer with all candidates.

    Opus is asked for as `SPEECH_FMTP`.

    Raises:
        NegotiationError: the offer cannot be read or fits nothing we can do.
    """
    if "m=audio" not in offer_sdp and "m=video" not in offer_sdp:
        raise NegotiationError("the SDP offer has neither audio nor video: offer at least one of them")
    _require_bundle(offer_sdp)
    try:
        await pc.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
        if prepare is not None:
            prepare()
        await pc.setLocalDescription(await pc.createAnswer())
    except (ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError) as error:
        raise NegotiationError(
            f"the SDP offer is not usable ({type(error).__name__}): send a complete offer"
        ) from error
    except (InvalidAccessError, InvalidStateError, OperationError) as error:
        raise NegotiationError(f"the SDP offer does not fit: {error}") from error
    return ask_for_speech(str(pc.localDescription.sdp))


def _require_bundle(sdp: str) -> None:
    """Refuse an offer whose sections are not all in one bundle (RFC 9143), in order.

    aiortc 1.16 takes others and then cannot close the connection: RTCPeerConnection.close fails half-way.
    """
    groups = re.findall(r"^a=group:BUNDLE ?(.*?)\s*$", sdp, flags=re.MULTILINE)
    sections = re.split(r"^m=", sdp, flags=re.MULTILINE)[1:]
    mids = [re.findall(r"^a=mid:(\S+)\s*$", section, flags=re.MULTILINE) for section in sections]
    bundled = groups[0].split() if len(groups) == 1 else []
    if any(len(mid) != 1 for mid in mids) or bundled != [mid[0] for mid in mids] or len(set(bundled)) != len(bundled):
        raise NegotiationError(
            "the SDP offer does not bundle all its media, each with a mid of its own: use max-bundle"
        )


def ask_for_speech(sdp: str) -> str:
    """Return `sdp` with `SPEECH_FMTP` for every Opus payload type of every audio section.

    Parameters of an fmtp line already there are kept where `SPEECH_FMTP` does not name them. Line ends stay.
    """
    newline = "\r\n" if "\r\n" in sdp else "\n"
    sections: list[list[str]] = [[]]
    for line in sdp.split(newline):
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return newline.join(line for section in sections for line in _section_for_speech(section))


def _section_for_speech(lines: list[str]) -> list[str]:
    if not lines or not lines[0].startswith("m=audio"):
        return lines
    payload_types = {found.group(1) for line in lines if (found := _OPUS.match(line))}
    there: dict[str, str] = {}
    for line in lines:
        if (found := _FMTP.match(line)) and found.group(1) in payload_types:
            there.setdefault(found.group(1), found.group(2))
    result: list[str] = []
    for line in lines:
        found = _FMTP.match(line)
        if found and found.group(1) in payload_types:
            continue
        result.append(line)
        if mapped := _OPUS.match(line):
            result.append(f"a=fmtp:{mapped.group(1)} {_speech_parameters(there.get(mapped.group(1), ''))}")
    return result


def _speech_parameters(present: str) -> str:
    wanted = dict(SPEECH_FMTP)
    for item in present.split(";"):
        name, _, value = item.strip().partition("=")
        if name:
            wanted.setdefault(name, value)
    return ";".join(f"{name}={value}" if value else name for name, value in wanted.items())


async def add_candidate(pc: RTCPeerConnection, candidate: str, mid: str = "") -> None:
    """Add a remote ICE candidate line ("candidate:..."); an empty one is the end, a broken one is ignored.

    Without `mid` it belongs to the first media section, and all are bundled there.
    """
    if not candidate:
        return
    try:
        parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        parsed.sdpMid = mid or None
        parsed.sdpMLineIndex = None if mid else 0
        await pc.addIceCandidate(parsed)
    except (ValueError, AssertionError, IndexError, InvalidStateError) as error:
        _LOG.info("a remote candidate was ignored: %s", type(error).__name__)
