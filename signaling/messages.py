"""The one place that defines signaling messages: their types, limits and JSON form.

On the wire a message is one JSON object in one text frame: `{"v": 1, "type": "...", ...}`. Unknown fields are ignored,
so that a minor version can add some; an unknown `type` or `v` is refused with its own code. msgspec checks every field
against its annotation, in both directions.
"""

import json
from enum import Enum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, structs

from signaling.errors import ErrorCode, Refused

VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 64 * 1024
CLOSE_RESUMED: Final = 4001
"""Close code (RFC 6455, 7.4.2: 4000 to 4999 are ours) of a connection whose seat was taken up on another one."""

# msgspec searches for a pattern anywhere in the text, so each one is anchored at both ends.
RoomName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
Token = Annotated[str, Meta(max_length=256)]
PeerName = Annotated[str, Meta(max_length=64)]
PeerId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,32}\Z")]
AnyPeerId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{0,32}\Z")]
Session = Annotated[str, Meta(pattern=r"\A([A-Za-z0-9_-]{16,64})?\Z")]
Sdp = Annotated[str, Meta(max_length=60 * 1024)]
Detail = Annotated[str, Meta(max_length=512)]
ModeName = Annotated[str, Meta(pattern=r"\A(through|photo|dub|away)\Z")]
PictureName = Annotated[str, Meta(pattern=r"\A(real|synth|returning|still|waiting)\Z")]
FaceCount = Annotated[float, Meta(ge=0.0, le=16.0)]


class Role(Enum):
    """What a peer does in its room."""

    CALLER = "caller"
    VIEWER = "viewer"
    NODE = "node"
    PARTICIPANT = "participant"
    CAMERA = "camera"
    """No part of the call: a `lipline cam` on somebody's machine that can be switched from here."""


PUBLISHING: Final = frozenset({Role.CALLER, Role.PARTICIPANT})
"""The roles whose own picture and speech the node filters."""


class PeerInfo(Struct, frozen=True, rename={"peer_id": "id"}):
    """A peer as the others see it: its id, role and the name that it chose (may be empty)."""

    peer_id: PeerId
    role: Role
    name: PeerName = ""


class _Message(Struct, frozen=True, tag_field="type"):
    @property
    def kind(self) -> str:
        """The message's `type` on the wire."""
        return str(self.__struct_config__.tag)


class Join(_Message, frozen=True, tag="join"):
    """Ask to enter `room`; `token` proves the right to. First message of every connection.

    `session` is a secret that the peer made up; who brings it again after a lost connection gets the same seat back.
    """

    room: RoomName
    token: Token
    role: Role = Role.PARTICIPANT
    name: PeerName = ""
    session: Session = ""

    def __repr__(self) -> str:
        """Return the message without its secrets, so that logs and tracebacks hold none."""
        return f"Join(room={self.room!r}, role={self.role}, name={self.name!r})"


class Joined(_Message, frozen=True, tag="joined", rename={"peer_id": "peer"}):
    """Answer a join: our peer id and who is here already."""

    peer_id: PeerId
    peers: Annotated[tuple[PeerInfo, ...], Meta(max_length=256)] = ()


class PeerJoined(_Message, frozen=True, tag="peer-joined"):
    """News for the room: a peer has joined."""

    peer: PeerInfo


class PeerLeft(_Message, frozen=True, tag="peer-left", rename={"peer_id": "peer"}):
    """News for the room: a peer has left or lost its connection."""

    peer_id: PeerId


class Offer(_Message, frozen=True, tag="offer", rename={"sender": "from"}):
    """Carry an SDP offer. `to` is set by the sender, `sender` (wire: `from`) by the server.

    `of` names the peer whose media the sender wants to receive; empty is its own publishing connection, or for a viewer
    the room's main speaker. The pair (sender, `of`) names a connection.
    """

    sdp: Sdp
    to: AnyPeerId = ""
    sender: AnyPeerId = ""
    of: AnyPeerId = ""


class Answer(_Message, frozen=True, tag="answer", rename={"sender": "from"}):
    """Carry an SDP answer; fields as in `Offer`, whose `of` is repeated.

    An empty `sdp` refuses the offer, and `detail` gives the reason.
    """

    sdp: Sdp
    to: AnyPeerId = ""
    sender: AnyPeerId = ""
    of: AnyPeerId = ""
    detail: Detail = ""


class Candidate(_Message, frozen=True, tag="candidate", rename={"sender": "from"}):
    """Carry one ICE candidate line (RFC 8839 `candidate:...`); an empty `candidate` means that there are no more.

    `of` as in `Offer`.
    """

    candidate: Annotated[str, Meta(max_length=1024)]
    mid: Annotated[str, Meta(max_length=64)] = ""
    to: AnyPeerId = ""
    sender: AnyPeerId = ""
    of: AnyPeerId = ""


class CameraState(_Message, frozen=True, tag="camera-state", rename={"sender": "from"}):
    """What a camera shows; sent to the room by cameras only, and by the server to those who join later. No `to`.

    `modes` can be chosen now; `state`, `since_ms` and `fps` are as in `realtime.cam.output.CamStatus`; `faces` are in
    view, and the one that is `followed` is counted from the left of the picture, 0 for none of them; `detail` is why
    the last request was not met.
    """

    mode: ModeName
    modes: Annotated[tuple[ModeName, ...], Meta(max_length=4)]
    state: PictureName
    since_ms: Annotated[float, Meta(ge=0.0, le=1e12)] = 0.0
    fps: Annotated[float, Meta(ge=0.0, le=1000.0)] = 0.0
    faces: FaceCount = 0.0
    followed: FaceCount = 0.0
    detail: Annotated[str, Meta(max_length=256)] = ""
    sender: AnyPeerId = ""


class CameraMode(_Message, frozen=True, tag="camera-mode", rename={"sender": "from"}):
    """A request to the camera `to`: switch to `mode`."""

    mode: ModeName
    to: AnyPeerId = ""
    sender: AnyPeerId = ""


class CameraFace(_Message, frozen=True, tag="camera-face", rename={"sender": "from"}):
    """A request to the camera `to`: follow the next face."""

    to: AnyPeerId = ""
    sender: AnyPeerId = ""


class Leave(_Message, frozen=True, tag="leave"):
    """Leave the room; the server closes the connection."""


class Error(_Message, frozen=True, tag="error"):
    """What was wrong with the last message; the connection stays open unless the server closes it next."""

    code: ErrorCode
    detail: Detail = ""


Wish = CameraMode | CameraFace
Relayed = Offer | Answer | Candidate | CameraMode | CameraFace
Message = Join | Joined | PeerJoined | PeerLeft | Relayed | CameraState | Leave | Error


_TYPES: Final = sorted(str(kind.__struct_config__.tag) for kind in _Message.__subclasses__())


def encode(message: Message) -> str:
    """Return the JSON text of a message; empty text in optional fields is left out.

    Raises:
        Refused: a field breaks its limit, or the text exceeds `MAX_MESSAGE_BYTES`.
    """
    optional = {field.encode_name for field in structs.fields(message) if field.default == ""}
    plain: dict[str, Any] = msgspec.to_builtins(message)
    payload = {"v": VERSION} | {name: value for name, value in plain.items() if value != "" or name not in optional}
    _read(payload)
    text = json.dumps(payload, separators=(",", ":"))
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise Refused(ErrorCode.TOO_LARGE, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    return text


def decode(text: str | bytes) -> Message:
    """Read one message.

    Raises:
        Refused: with the code of the reason; its detail names fields, never their content.
    """
    if isinstance(text, bytes):
        raise Refused(ErrorCode.BAD_JSON, "messages are text frames, not binary")
    if len(text) > MAX_MESSAGE_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise Refused(ErrorCode.TOO_LARGE, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(ErrorCode.BAD_JSON, "not valid JSON") from error
    if not isinstance(payload, dict):
        raise Refused(ErrorCode.BAD_MESSAGE, "a message is a JSON object")
    # JSON's true equals 1 in Python, so the type is compared as well.
    if type(payload.get("v")) is not int or payload["v"] != VERSION:
        raise Refused(ErrorCode.UNSUPPORTED_VERSION, f'field "v" must be {VERSION}')
    if payload.get("type") not in _TYPES:
        raise Refused(ErrorCode.UNKNOWN_TYPE, f'field "type" must be one of {", ".join(_TYPES)}')
    return _read(payload)


def _read(payload: dict[str, Any]) -> Message:
    try:
        message: Message = msgspec.convert(payload, Message)
        # JSON may escape half of a surrogate pair (RFC 8259, 8.2), which no text that we pass on can hold.
        msgspec.json.encode(message)
    except msgspec.ValidationError as error:
        raise Refused(ErrorCode.BAD_MESSAGE, _without_content(str(error))) from error
    except UnicodeEncodeError as error:
        raise Refused(ErrorCode.BAD_MESSAGE, "a field holds a lone surrogate") from error
    except (OverflowError, RecursionError) as error:
        raise Refused(ErrorCode.BAD_MESSAGE, "a field breaks its limit") from error
    return message


def _without_content(reason: str) -> str:
    """Return msgspec's reason for a refusal, less the value that it quotes for enumerations."""
    what, _, where = reason.rpartition(" - at ")
    if what and not what.startswith("Expected"):
        return f"Unknown value - at {where}"
    return reason
