import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import ErrorCode, Refused
from signaling.messages import Candidate, Joined, Offer, PeerJoined, PeerLeft, Role
from signaling.rooms import Rooms


def refused(rooms: Rooms, room: str, token: str, role: Role) -> ErrorCode:
    with pytest.raises(Refused) as caught:
        rooms.join(room, token, role)
    return caught.value.code


def test_peers_learn_of_each_other() -> None:
    rooms = Rooms()
    ann, first = rooms.join("r", "t", Role.CALLER, "Ann")
    assert first == [(ann.peer_id, Joined(ann.peer_id, ()))]
    bob, second = rooms.join("r", "t", Role.VIEWER)
    assert second == [(bob.peer_id, Joined(bob.peer_id, (ann,))), (ann.peer_id, PeerJoined(bob))]
    assert rooms.leave(bob.peer_id) == [(ann.peer_id, PeerLeft(bob.peer_id))]
    assert rooms.leave(bob.peer_id) == []


def test_the_first_token_holds_until_the_room_is_empty() -> None:
    rooms = Rooms()
    ann, _ = rooms.join("r", "right", Role.CALLER)
    assert refused(rooms, "r", "wrong", Role.VIEWER) is ErrorCode.BAD_TOKEN
    rooms.leave(ann.peer_id)
    assert rooms.room_count == rooms.peer_count == 0
    rooms.join("r", "wrong", Role.VIEWER)


def test_rooms_and_peers_are_bounded() -> None:
    rooms = Rooms(max_rooms=1, max_peers=2)
    rooms.join("r", "t", Role.CALLER)
    assert refused(rooms, "r", "t", Role.CALLER) is ErrorCode.ROLE_TAKEN
    rooms.join("r", "t", Role.VIEWER)
    assert refused(rooms, "r", "t", Role.VIEWER) is ErrorCode.ROOM_FULL
    assert refused(rooms, "s", "t", Role.VIEWER) is ErrorCode.SERVER_FULL


def test_relay_stays_inside_the_room() -> None:
    rooms = Rooms()
    ann, _ = rooms.join("r", "t", Role.CALLER)
    bob, _ = rooms.join("r", "t", Role.VIEWER)
    eve, _ = rooms.join("s", "t", Role.VIEWER)
    assert rooms.relay(ann.peer_id, Offer("v=0", to=bob.peer_id, sender="forged")) == [
        (bob.peer_id, Offer("v=0", sender=ann.peer_id))
    ]
    for target in (eve.peer_id, ann.peer_id, "", "nobody"):
        with pytest.raises(Refused) as caught:
            rooms.relay(ann.peer_id, Candidate("", to=target))
        assert caught.value.code is ErrorCode.NO_SUCH_PEER
    with pytest.raises(Refused) as caught:
        rooms.relay("nobody", Candidate("", to=bob.peer_id))
    assert caught.value.code is ErrorCode.NOT_JOINED


@given(st.lists(st.tuples(st.sampled_from("rst"), st.sampled_from(list(Role)), st.integers(0, 30)), max_size=60))
def test_whoever_comes_and_goes_nothing_is_left_behind(steps: list[tuple[str, Role, int]]) -> None:
    rooms = Rooms(max_rooms=2, max_peers=3)
    inside: dict[str, str] = {}
    for room, role, pick in steps:
        if inside and pick % 2:
            gone = sorted(inside)[pick % len(inside)]
            left = inside.pop(gone)
            told = {peer for peer, _ in rooms.leave(gone)}
            assert told == {peer for peer, name in inside.items() if name == left}
            continue
        try:
            peer, _ = rooms.join(room, "t", role)
        except Refused:
            continue
        inside[peer.peer_id] = room
    assert rooms.peer_count == len(inside)
    assert rooms.room_count == len(set(inside.values())) <= 2
    for peer_id in inside:
        rooms.leave(peer_id)
    assert rooms.room_count == 0
