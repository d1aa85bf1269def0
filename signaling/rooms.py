"""Room logic without I/O: who may enter, who is inside, who receives what, whose seat is kept.

Every call returns the messages to deliver as `(peer_id, message)` pairs; the server only carries them. Times are
arguments, in seconds of one monotonic clock.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from msgspec.structs import replace

from signaling.errors import ErrorCode, Refused
from signaling.messages import (
    CameraFace,
    CameraMode,
    CameraState,
    Joined,
    Message,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    Relayed,
    Role,
)

Delivery = tuple[str, Message]
SINGLE_ROLES = frozenset({Role.CALLER, Role.NODE})
SEAT_S = 20.0
MAX_KEPT = 16
STATE_GAP_S = 0.1
"""Least time in s between two states of a camera that are relayed; peers that join later receive the newest."""


@dataclass
class _Seat:
    """A peer in a room; `away_until_s` is set while its connection is lost, and `kept` waits for it then."""

    peer: PeerInfo
    session: bytes | None
    away_until_s: float | None = None
    kept: list[Message] = field(default_factory=list)
    camera: CameraState | None = None
    told_s: float = float("-inf")


@dataclass
class _Room:
    token_digest: bytes
    seats: dict[str, _Seat] = field(default_factory=dict)

    def others(self, peer_id: str) -> list[str]:
        """Return who receives news about `peer_id`: all others who are there. The others read it on return."""
        return [other for other, seat in self.seats.items() if other != peer_id and seat.away_until_s is None]

    def cameras(self, peer_id: str) -> list[CameraState]:
        """Return the newest states of the cameras that are there, without `peer_id`."""
        there = [self.seats[other] for other in self.others(peer_id)]
        return [seat.camera for seat in there if seat.camera is not None]


class Rooms:
    """The rooms of one server.

    The server is open: the first peer in an empty room sets its token, everybody after it must bring the same, and the
    token dies with the room.
    A room has at most one caller and one node. A lost peer's seat is kept for `seat_s` if it gave a session.
    Not thread-safe: call it from one event loop.
    """

    def __init__(self, *, max_rooms: int = 1000, max_peers: int = 16, seat_s: float = SEAT_S) -> None:
        if max_rooms < 1 or max_peers < 2:
            raise ValueError("a server needs max_rooms >= 1 and max_peers >= 2")
        self._max_rooms = max_rooms
        self._max_peers = max_peers
        self._seat_s = seat_s
        self._rooms: dict[str, _Room] = {}
        self._room_of: dict[str, str] = {}
        self._away: dict[str, float] = {}

    @property
    def room_count(self) -> int:
        """Number of rooms in which a seat is taken."""
        return len(self._rooms)

    @property
    def peer_count(self) -> int:
        """Number of seats that are taken, those kept for lost peers included."""
        return len(self._room_of)

    @property
    def next_expiry_s(self) -> float | None:
        """Time in s at which `expire` next has something to do; None when no seat is kept."""
        return min(self._away.values(), default=None)

    def join(
        self, room: str, token: str, role: Role, name: str = "", *, session: str = ""
    ) -> tuple[PeerInfo, list[Delivery]]:
        """Admit a peer; return who it is now and the messages to deliver (its `joined` first).

        A `session` that has a seat in this room gets that seat back, with its peer id, role and name, whether its old
        connection is lost or not; nobody else hears of it, and what was sent to it meanwhile follows `joined`.

        Raises:
            Refused: bad-token, room-full, server-full or role-taken.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        existing = self._rooms.get(room)
        if existing is not None and not hmac.compare_digest(digest, existing.token_digest):
            raise Refused(ErrorCode.BAD_TOKEN, "the token does not open this room")
        # Only a digest is kept: a session opens a seat as a token opens a room.
        key = hashlib.sha256(session.encode("utf-8", "surrogatepass")).digest() if session else None
        seat = _seat_of(existing, key)
        if existing is not None and seat is not None:
            return self._resume(existing, seat)
        if existing is None and len(self._rooms) >= self._max_rooms:
            raise Refused(ErrorCode.SERVER_FULL, f"this server keeps at most {self._max_rooms} rooms")
        if existing is not None:
            if len(existing.seats) >= self._max_peers:
                raise Refused(ErrorCode.ROOM_FULL, f"a room holds at most {self._max_peers} peers")
            if role in SINGLE_ROLES and any(s.peer.role is role for s in existing.seats.values()):
                raise Refused(ErrorCode.ROLE_TAKEN, f"the room already has a {role.value}")
        entered = self._rooms.setdefault(room, _Room(digest))
        peer = PeerInfo(secrets.token_urlsafe(9), role, name)
        others = tuple(s.peer for s in entered.seats.values())
        states = entered.cameras(peer.peer_id)
        entered.seats[peer.peer_id] = _Seat(peer, key)
        self._room_of[peer.peer_id] = room
        deliveries: list[Delivery] = [(peer.peer_id, Joined(peer.peer_id, others))]
        deliveries += [(peer.peer_id, state) for state in states]
        deliveries += [(other, PeerJoined(peer)) for other in entered.others(peer.peer_id)]
        return peer, deliveries

    def leave(self, peer_id: str) -> list[Delivery]:
        """Remove a peer (nothing happens if it is not inside) and notify the others; an empty room is forgotten."""
        name = self._room_of.pop(peer_id, None)
        if name is None:
            return []
        self._away.pop(peer_id, None)
        room = self._rooms[name]
        del room.seats[peer_id]
        if not room.seats:
            del self._rooms[name]
        return [(other, PeerLeft(peer_id)) for other in room.others(peer_id)]

    def lose(self, peer_id: str, now_s: float) -> list[Delivery]:
        """Note that a connection broke without a goodbye: keep the peer's seat if it has a session, else free it."""
        name = self._room_of.get(peer_id)
        if name is None:
            return []
        seat = self._rooms[name].seats[peer_id]
        if seat.session is None:
            return self.leave(peer_id)
        seat.away_until_s = self._away[peer_id] = now_s + self._seat_s
        return []

    def expire(self, now_s: float) -> list[Delivery]:
        """Free every seat whose peer has been away for too long; the others receive `peer-left`."""
        over = [peer_id for peer_id, until_s in self._away.items() if until_s <= now_s]
        return [delivery for peer_id in over for delivery in self.leave(peer_id)]

    def relay(self, sender_id: str, message: Relayed) -> list[Delivery]:
        """Address a message to the peer named in `to`, within the sender's room only.

        For a peer that is away, the first `MAX_KEPT` messages wait for its return, but no requests to a camera, which
        are meant for now.

        Raises:
            Refused: not-joined, or no-such-peer (also when too much waits for that peer).
        """
        name = self._room_of.get(sender_id)
        if name is None:
            raise Refused(ErrorCode.NOT_JOINED, 'send "join" first')
        seat = self._rooms[name].seats.get(message.to)
        if message.to == sender_id or seat is None:
            raise Refused(ErrorCode.NO_SUCH_PEER, 'field "to" names nobody else in this room')
        wish = isinstance(message, CameraMode | CameraFace)
        if wish and seat.peer.role is not Role.CAMERA:
            raise Refused(ErrorCode.NO_SUCH_PEER, 'field "to" names no camera in this room')
        addressed = replace(message, to="", sender=sender_id)
        if seat.away_until_s is None:
            return [(message.to, addressed)]
        if wish or len(seat.kept) >= MAX_KEPT:
            raise Refused(ErrorCode.NO_SUCH_PEER, 'the peer in field "to" has lost its connection')
        seat.kept.append(addressed)
        return []

    def tell(self, sender_id: str, state: CameraState, now_s: float) -> list[Delivery]:
        """Relay to the room what a camera shows, at most every `STATE_GAP_S`; peers that join later receive it, too.

        Raises:
            Refused: not-joined, or bad-message from a peer that is no camera.
        """
        name = self._room_of.get(sender_id)
        if name is None:
            raise Refused(ErrorCode.NOT_JOINED, 'send "join" first')
        room = self._rooms[name]
        seat = room.seats[sender_id]
        if seat.peer.role is not Role.CAMERA:
            raise Refused(ErrorCode.BAD_MESSAGE, f'"{state.kind}" is sent by cameras only')
        seat.camera = replace(state, sender=sender_id)
        if now_s - seat.told_s < STATE_GAP_S:
            return []
        seat.told_s = now_s
        return [(other, seat.camera) for other in room.others(sender_id)]

    def _resume(self, room: _Room, seat: _Seat) -> tuple[PeerInfo, list[Delivery]]:
        peer_id = seat.peer.peer_id
        seat.away_until_s = None
        self._away.pop(peer_id, None)
        waiting, seat.kept = seat.kept, []
        others = tuple(s.peer for s in room.seats.values() if s is not seat)
        told = (Joined(peer_id, others), *room.cameras(peer_id), *waiting)
        return seat.peer, [(peer_id, message) for message in told]


def _seat_of(room: _Room | None, session: bytes | None) -> _Seat | None:
    if room is None or session is None:
        return None
    return next((seat for seat in room.seats.values() if seat.session == session), None)
