"""Room logic without I/O: who may enter, who is inside, who hears what.

Every call returns the messages to deliver as `(peer_id, message)` pairs; the server only carries them.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

from signaling.messages import Error, ErrorCode, Joined, Message, PeerInfo, PeerJoined, PeerLeft, Relayed, Role

Delivery = tuple[str, Message]
SINGLE_ROLES = frozenset({Role.CALLER, Role.NODE})


def room_token(secret: str, room: str) -> str:
    """Derive the token of `room` from the server's secret: hex HMAC-SHA256 (RFC 2104), so that no list is kept."""
    return hmac.new(secret.encode(), f"lipline-room:{room}".encode(), hashlib.sha256).hexdigest()


class RoomError(Exception):
    """Tell why a request was refused, with its wire code."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code.value}: {detail}")
        self.code = code
        self.detail = detail

    def message(self) -> Error:
        """Return the error message for the peer that asked."""
        return Error(self.code, self.detail)


@dataclass
class _Room:
    token_digest: bytes
    peers: dict[str, PeerInfo] = field(default_factory=dict)


class Rooms:
    """Keep the rooms of one server.

    With a `secret`, a room's token is `room_token(secret, room)`. Without one the server is open: whoever enters an
    empty room brings its token, everybody after must bring the same, and the token dies with the room.
    A room has at most one caller and one node. Not thread-safe: call it from one event loop.
    """

    def __init__(self, *, secret: str | None = None, max_rooms: int = 1000, max_peers: int = 16) -> None:
        if secret is not None and len(secret) < 8:
            raise ValueError("the signaling secret must have at least 8 characters: choose a longer one")
        if max_rooms < 1 or max_peers < 2:
            raise ValueError("a server needs max_rooms >= 1 and max_peers >= 2")
        self._secret = secret
        self._max_rooms = max_rooms
        self._max_peers = max_peers
        self._rooms: dict[str, _Room] = {}
        self._room_of: dict[str, str] = {}

    @property
    def room_count(self) -> int:
        """Return how many rooms have somebody inside."""
        return len(self._rooms)

    @property
    def peer_count(self) -> int:
        """Return how many peers are inside rooms."""
        return len(self._room_of)

    def join(self, room: str, token: str, role: Role, name: str = "") -> tuple[PeerInfo, list[Delivery]]:
        """Let a peer in; return who it is now and the messages to deliver (its `joined` first).

        Raises:
            RoomError: bad-token, room-full, server-full or role-taken.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        existing = self._rooms.get(room)
        self._check_token(room, digest, existing)
        if existing is None and len(self._rooms) >= self._max_rooms:
            raise RoomError(ErrorCode.SERVER_FULL, f"this server keeps at most {self._max_rooms} rooms")
        if existing is not None:
            if len(existing.peers) >= self._max_peers:
                raise RoomError(ErrorCode.ROOM_FULL, f"a room holds at most {self._max_peers} peers")
            if role in SINGLE_ROLES and any(p.role is role for p in existing.peers.values()):
                raise RoomError(ErrorCode.ROLE_TAKEN, f"the room already has a {role.value}")
        entered = self._rooms.setdefault(room, _Room(digest))
        peer = PeerInfo(secrets.token_urlsafe(9), role, name)
        others = tuple(entered.peers.values())
        entered.peers[peer.peer_id] = peer
        self._room_of[peer.peer_id] = room
        deliveries: list[Delivery] = [(peer.peer_id, Joined(peer.peer_id, others))]
        deliveries += [(other.peer_id, PeerJoined(peer)) for other in others]
        return peer, deliveries

    def leave(self, peer_id: str) -> list[Delivery]:
        """Take a peer out (nothing happens if it is not inside) and tell the others; an empty room is forgotten."""
        name = self._room_of.pop(peer_id, None)
        if name is None:
            return []
        room = self._rooms[name]
        del room.peers[peer_id]
        if not room.peers:
            del self._rooms[name]
        return [(other, PeerLeft(peer_id)) for other in room.peers]

    def relay(self, sender_id: str, message: Relayed) -> list[Delivery]:
        """Address an offer, answer or candidate to the peer named in `to`, within the sender's room only.

        Raises:
            RoomError: not-joined or no-such-peer.
        """
        name = self._room_of.get(sender_id)
        if name is None:
            raise RoomError(ErrorCode.NOT_JOINED, 'send "join" first')
        if message.to == sender_id or message.to not in self._rooms[name].peers:
            raise RoomError(ErrorCode.NO_SUCH_PEER, 'field "to" names nobody else in this room')
        return [(message.to, replace(message, to="", sender=sender_id))]

    def _check_token(self, room: str, digest: bytes, existing: _Room | None) -> None:
        if self._secret is not None:
            expected = hashlib.sha256(room_token(self._secret, room).encode()).digest()
        elif existing is not None:
            expected = existing.token_digest
        else:
            return
        if not hmac.compare_digest(digest, expected):
            raise RoomError(ErrorCode.BAD_TOKEN, "the token does not open this room")
