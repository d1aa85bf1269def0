"""The one place that says what a signaling message looks like: types, limits, error codes, JSON form.

On the wire a message is one JSON object in one text frame: `{"v": 1, "type": "...", ...}`. Unknown fields are ignored,
so that a minor version can add some; an unknown `type` or `v` is refused with its own code.
"""

import json
import re
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from signaling.fields import ErrorCode as ErrorCode
from signaling.fields import MessageError as MessageError
from signaling.fields import check, check_enum, check_text, number
from signaling.fields import text as _text

VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024
MAX_SDP_CHARS = 60 * 1024
ROOM_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
PEER_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,32}")
SESSION_PATTERN = re.compile(r"[A-Za-z0-9_-]{16,64}")
CAMERA_MODE_PATTERN = re.compile(r"through|photo|dub|away")
CAMERA_PICTURE_PATTERN = re.compile(r"real|synth|returning|still|waiting")
CLOSE_RESUMED = 4001
"""Close code (RFC 6455, 7.4.2: 4000 to 4999 are ours) of a connection whose seat was taken up on another one."""


class Role(Enum):
    """Say what a peer does in its room."""

    CALLER = "caller"
    VIEWER = "viewer"
    NODE = "node"
    PARTICIPANT = "participant"
    CAMERA = "camera"
    """No part of the call: a `lipline cam` on somebody's machine that can be switched from here."""


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Describe a peer to the others: its id, role and the name that it chose (may be empty)."""

    peer_id: str
    role: Role
    name: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """Ask to enter `room`; `token` proves the right to. First message of every connection.

    `session` is a secret that the peer made up; who brings it again after a lost connection gets the same seat back.
    """

    TYPE: ClassVar[str] = "join"
    room: str = field(metadata=_text(64, pattern=ROOM_PATTERN))
    token: str = field(metadata=_text(256), repr=False)  # repr=False keeps it out of logs and tracebacks
    role: Role = Role.PARTICIPANT
    name: str = field(default="", metadata=_text(64, optional=True))
    session: str = field(default="", metadata=_text(64, pattern=SESSION_PATTERN, optional=True), repr=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """Answer a join: our peer id and who is here already."""

    TYPE: ClassVar[str] = "joined"
    peer_id: str = field(metadata=_text(32, pattern=PEER_ID_PATTERN, wire="peer"))
    peers: tuple[PeerInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """Tell the room that a peer came in."""

    TYPE: ClassVar[str] = "peer-joined"
    peer: PeerInfo


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """Tell the room that a peer left or lost its connection."""

    TYPE: ClassVar[str] = "peer-left"
    peer_id: str = field(metadata=_text(32, pattern=PEER_ID_PATTERN, wire="peer"))


@dataclass(frozen=True, slots=True)
class Offer:
    """Carry an SDP offer. `to` is set by the sender, `sender` (wire: `from`) by the server.

    `of` names the peer whose media the sender wants to receive; empty is its own publishing connection, or for a viewer
    the room's main speaker. The pair (sender, `of`) names a connection.
    """

    TYPE: ClassVar[str] = "offer"
    sdp: str = field(metadata=_text(MAX_SDP_CHARS))
    to: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))
    sender: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, wire="from", optional=True))
    of: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """Carry an SDP answer; fields as in `Offer`, whose `of` is repeated.

    An empty `sdp` refuses the offer, and `detail` says why.
    """

    TYPE: ClassVar[str] = "answer"
    sdp: str = field(metadata=_text(MAX_SDP_CHARS))
    to: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))
    sender: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, wire="from", optional=True))
    of: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))
    detail: str = field(default="", metadata=_text(512, optional=True))


@dataclass(frozen=True, slots=True)
class Candidate:
    """Carry one ICE candidate line (RFC 8839 `candidate:...`); an empty `candidate` says that there are no more.

    `of` as in `Offer`.
    """

    TYPE: ClassVar[str] = "candidate"
    candidate: str = field(metadata=_text(1024))
    mid: str = field(default="", metadata=_text(64, optional=True))
    to: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))
    sender: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, wire="from", optional=True))
    of: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))


@dataclass(frozen=True, slots=True)
class CameraState:
    """Tell the room what a camera shows; sent by cameras only, and to who comes later by the server. No `to`.

    `modes` can be chosen now; `state`, `since_ms` and `fps` are as in `realtime.cam.output.CamStatus`; `faces` are in
    view, and the one that is `followed` is counted from the left of the picture, 0 for none of them; `detail` says why
    the last wish was not met.
    """

    TYPE: ClassVar[str] = "camera-state"
    mode: str = field(metadata=_text(16, pattern=CAMERA_MODE_PATTERN))
    modes: tuple[str, ...] = field(metadata=_text(16, pattern=CAMERA_MODE_PATTERN, most=4))
    state: str = field(metadata=_text(16, pattern=CAMERA_PICTURE_PATTERN))
    since_ms: float = field(default=0.0, metadata=number(1e12))
    fps: float = field(default=0.0, metadata=number(1000.0))
    faces: float = field(default=0.0, metadata=number(16.0))
    followed: float = field(default=0.0, metadata=number(16.0))
    detail: str = field(default="", metadata=_text(256, optional=True))
    sender: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, wire="from", optional=True))


@dataclass(frozen=True, slots=True)
class CameraMode:
    """Ask the camera `to` to go over to `mode`."""

    TYPE: ClassVar[str] = "camera-mode"
    mode: str = field(metadata=_text(16, pattern=CAMERA_MODE_PATTERN))
    to: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))
    sender: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, wire="from", optional=True))


@dataclass(frozen=True, slots=True)
class CameraFace:
    """Ask the camera `to` to follow the next face."""

    TYPE: ClassVar[str] = "camera-face"
    to: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, optional=True))
    sender: str = field(default="", metadata=_text(32, pattern=PEER_ID_PATTERN, wire="from", optional=True))


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the room; the server closes the connection."""

    TYPE: ClassVar[str] = "leave"


@dataclass(frozen=True, slots=True)
class Error:
    """Tell the sender what was wrong with its message. The connection stays open unless the server closes it next."""

    TYPE: ClassVar[str] = "error"
    code: ErrorCode
    detail: str = field(default="", metadata=_text(512, optional=True))


Wish = CameraMode | CameraFace
Relayed = Offer | Answer | Candidate | CameraMode | CameraFace
Message = Join | Joined | PeerJoined | PeerLeft | Relayed | CameraState | Leave | Error
_CLASSES: dict[str, type[Any]] = {
    c.TYPE: c
    for c in (
        Join, Joined, PeerJoined, PeerLeft, Offer, Answer, Candidate, CameraState, CameraMode, CameraFace, Leave, Error,
    )
}  # fmt: skip


def encode(message: Message) -> str:
    """Return the JSON text of a message.

    Raises:
        MessageError: a field breaks its limit, or the text exceeds `MAX_MESSAGE_BYTES`.
    """
    payload: dict[str, Any] = {"v": VERSION, "type": message.TYPE}
    for spec in fields(message):
        value = getattr(message, spec.name)
        if spec.metadata.get("optional") and value == "":
            continue
        if spec.metadata:
            check(value, spec.metadata, spec.name)
        payload[spec.metadata.get("wire") or spec.name] = _to_json(value)
    text = json.dumps(payload, separators=(",", ":"))
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise MessageError(ErrorCode.TOO_LARGE, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    return text


def decode(text: str | bytes) -> Message:
    """Read one message.

    Raises:
        MessageError: with the code that says why; its detail names fields, never their content.
    """
    if isinstance(text, bytes):
        raise MessageError(ErrorCode.BAD_JSON, "messages are text frames, not binary")
    if len(text) > MAX_MESSAGE_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise MessageError(ErrorCode.TOO_LARGE, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(ErrorCode.BAD_JSON, "not valid JSON") from error
    if not isinstance(payload, dict):
        raise MessageError(ErrorCode.BAD_MESSAGE, "a message is a JSON object")
    version = payload.get("v")
    if type(version) is not int or version != VERSION:
        raise MessageError(ErrorCode.UNSUPPORTED_VERSION, f'field "v" must be {VERSION}')
    kind = payload.get("type")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise MessageError(ErrorCode.UNKNOWN_TYPE, f'field "type" must be one of {", ".join(sorted(_CLASSES))}')
    message: Message = _build(_CLASSES[kind], payload)
    return message


def _build(cls: type[Any], payload: dict[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for spec in fields(cls):
        wire = spec.metadata.get("wire") or spec.name
        if wire not in payload:
            continue  # the constructor below reports what has no default
        values[spec.name] = _from_json(spec.name, payload[wire], spec.metadata, wire)
    try:
        return cls(**values)
    except TypeError as error:
        raise MessageError(ErrorCode.BAD_MESSAGE, f'"{cls.TYPE}" lacks a required field') from error


def _from_json(name: str, value: Any, metadata: Any, wire: str) -> Any:
    if metadata:
        return value if metadata.get("optional") and value == "" else check(value, metadata, wire)
    if name == "role":
        return check_enum(Role, value, wire)
    if name == "code":
        return check_enum(ErrorCode, value, wire)
    if name == "peer":
        return _peer(value)
    if not isinstance(value, list) or len(value) > 256:
        raise MessageError(ErrorCode.BAD_MESSAGE, f'field "{wire}" must be a list')
    return tuple(_peer(item) for item in value)


def _peer(value: Any) -> PeerInfo:
    if not isinstance(value, dict):
        raise MessageError(ErrorCode.BAD_MESSAGE, "a peer is a JSON object")
    peer_id = check_text(value.get("id"), _text(32, pattern=PEER_ID_PATTERN), "id")
    name = check_text(value.get("name", ""), _text(64), "name")
    return PeerInfo(peer_id, check_enum(Role, value.get("role"), "role"), name)


def _to_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PeerInfo):
        return {"id": value.peer_id, "role": value.role.value, "name": value.name}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return value
