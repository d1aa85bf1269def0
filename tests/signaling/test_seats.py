"""A seat outlives its connection for a while: the room's arithmetic, on a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import ErrorCode, Refused
from signaling.messages import Answer, Candidate, Joined, Offer, PeerJoined, PeerLeft, Role
from signaling.rooms import MAX_KEPT, SEAT_S, Rooms

SESSION = "s" * 16
OTHER = "o" * 64


def refused(rooms: Rooms, room: str, token: str, role: Role, session: str = "") -> ErrorCode:
    with pytest.raises(Refused) as caught:
        rooms.join(room, token, role, session=session)
    return caught.value.code


def test_a_lost_peer_comes_back_to_its_seat_unnoticed() -> None:
    rooms = Rooms()
    bob, _ = rooms.join("r", "t", Role.NODE)
    ann, _ = rooms.join("r", "t", Role.PARTICIPANT, "Ann", session=SESSION)
    assert rooms.lose(ann.peer_id, 100.0) == []
    assert rooms.next_expiry_s == 100.0 + SEAT_S
    assert rooms.expire(100.0 + SEAT_S - 0.001) == []
    back, deliveries = rooms.join("r", "t", Role.PARTICIPANT, "Ann", session=SESSION)
    assert back == ann
    assert deliveries == [(ann.peer_id, Joined(ann.peer_id, (bob,)))]
    assert rooms.next_expiry_s is None
    assert rooms.expire(1e9) == []
    assert rooms.peer_count == 2


def test_a_seat_ends_when_nobody_takes_it_up() -> None:
    rooms = Rooms()
    bob, _ = rooms.join("r", "t", Role.NODE)
    ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
    rooms.lose(ann.peer_id, 0.0)
    assert rooms.expire(SEAT_S) == [(bob.peer_id, PeerLeft(ann.peer_id))]
    assert rooms.next_expiry_s is None
    late, deliveries = rooms.join("r", "t", Role.CALLER, session=SESSION)
    assert late.peer_id != ann.peer_id
    assert (bob.peer_id, PeerJoined(late)) in deliveries


def test_without_a_session_a_lost_peer_is_gone_at_once() -> None:
    rooms = Rooms()
    bob, _ = rooms.join("r", "t", Role.NODE)
    ann, _ = rooms.join("r", "t", Role.CALLER)
    assert rooms.lose(ann.peer_id, 0.0) == [(bob.peer_id, PeerLeft(ann.peer_id))]
    assert rooms.lose(ann.peer_id, 0.0) == rooms.lose("nobody", 0.0) == []


def test_leaving_frees_the_seat_at_once_present_or_away() -> None:
    rooms = Rooms()
    bob, _ = rooms.join("r", "t", Role.NODE)
    for away in (False, True):
        ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
        if away:
            rooms.lose(ann.peer_id, 0.0)
        assert rooms.leave(ann.peer_id) == [(bob.peer_id, PeerLeft(ann.peer_id))]
        assert rooms.next_expiry_s is None
    assert rooms.peer_count == 1


def test_a_session_opens_no_room_to_a_wrong_token() -> None:
    rooms = Rooms()
    ann, _ = rooms.join("r", "right", Role.CALLER, session=SESSION)
    assert refused(rooms, "r", "wrong", Role.CALLER, session=SESSION) is ErrorCode.BAD_TOKEN
    rooms.lose(ann.peer_id, 0.0)
    assert refused(rooms, "r", "wrong", Role.CALLER, session=SESSION) is ErrorCode.BAD_TOKEN
    assert rooms.next_expiry_s == SEAT_S, "a refused join takes nothing from the seat"


def test_a_session_of_another_room_or_peer_gives_a_new_seat() -> None:
    rooms = Rooms()
    ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
    rooms.lose(ann.peer_id, 0.0)
    elsewhere, _ = rooms.join("q", "t", Role.CALLER, session=SESSION)
    stranger, _ = rooms.join("r", "t", Role.VIEWER, session=OTHER)
    nobody, _ = rooms.join("r", "t", Role.VIEWER)
    assert len({ann.peer_id, elsewhere.peer_id, stranger.peer_id, nobody.peer_id}) == 4


def test_the_only_caller_keeps_its_role_while_away() -> None:
    rooms = Rooms(max_peers=2)
    ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
    rooms.lose(ann.peer_id, 0.0)
    assert refused(rooms, "r", "t", Role.CALLER, session=OTHER) is ErrorCode.ROLE_TAKEN
    bob, _ = rooms.join("r", "t", Role.VIEWER)
    assert refused(rooms, "r", "t", Role.VIEWER) is ErrorCode.ROOM_FULL
    back, _ = rooms.join("r", "t", Role.VIEWER, "another name", session=SESSION)
    assert back == ann, "role and name are the seat's: the others heard of those"
    rooms.lose(ann.peer_id, 0.0)
    rooms.expire(SEAT_S)
    rooms.join("r", "t", Role.CALLER)
    assert bob.role is Role.VIEWER


def test_a_seat_is_taken_up_while_its_old_connection_still_seems_open() -> None:
    rooms = Rooms()
    bob, _ = rooms.join("r", "t", Role.NODE)
    ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
    back, deliveries = rooms.join("r", "t", Role.CALLER, session=SESSION)
    assert back == ann
    assert deliveries == [(ann.peer_id, Joined(ann.peer_id, (bob,)))]


def test_what_was_sent_to_somebody_away_waits_but_not_without_end() -> None:
    rooms = Rooms()
    node, _ = rooms.join("r", "t", Role.NODE)
    ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
    rooms.lose(ann.peer_id, 0.0)
    assert rooms.relay(node.peer_id, Answer("first", to=ann.peer_id)) == []
    for i in range(MAX_KEPT - 1):
        assert rooms.relay(node.peer_id, Candidate(f"c{i}", to=ann.peer_id)) == []
    with pytest.raises(Refused) as caught:
        rooms.relay(node.peer_id, Answer("too much", to=ann.peer_id))
    assert caught.value.code is ErrorCode.NO_SUCH_PEER
    _, deliveries = rooms.join("r", "t", Role.CALLER, session=SESSION)
    assert [to for to, _ in deliveries] == [ann.peer_id] * (MAX_KEPT + 1)
    assert deliveries[1][1] == Answer("first", sender=node.peer_id)
    assert rooms.relay(node.peer_id, Answer("now", to=ann.peer_id)) == [
        (ann.peer_id, Answer("now", sender=node.peer_id))
    ]


def test_comings_and_goings_are_not_kept_but_read_from_the_list() -> None:
    rooms = Rooms()
    rooms.join("r", "t", Role.NODE)
    ann, _ = rooms.join("r", "t", Role.CALLER, session=SESSION)
    rooms.lose(ann.peer_id, 0.0)
    bob, deliveries = rooms.join("r", "t", Role.VIEWER)
    assert ann.peer_id not in [to for to, _ in deliveries]
    assert isinstance(deliveries[0][1], Joined) and ann in deliveries[0][1].peers, "an absent peer still has its seat"
    _, mine = rooms.join("r", "t", Role.CALLER, session=SESSION)
    assert isinstance(mine[0][1], Joined) and bob in mine[0][1].peers


def test_relays_name_the_connection_they_belong_to() -> None:
    rooms = Rooms()
    ann, _ = rooms.join("r", "t", Role.PARTICIPANT)
    node, _ = rooms.join("r", "t", Role.NODE)
    assert rooms.relay(ann.peer_id, Offer("o", to=node.peer_id, of="x")) == [
        (node.peer_id, Offer("o", sender=ann.peer_id, of="x"))
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "lose", "leave", "expire"]), st.integers(0, 3), st.floats(0.0, 30.0)),
        max_size=60,
    )
)
def test_whatever_happens_seats_and_timers_agree(steps: list[tuple[str, int, float]]) -> None:
    rooms = Rooms(max_rooms=1, max_peers=4)
    sessions = [str(i) * 16 for i in range(4)]
    held: dict[str, str] = {}
    away: dict[str, float] = {}
    now = 0.0
    for action, pick, later in steps:
        now += later
        session = sessions[pick]
        if action == "join":
            peer, _ = rooms.join("r", "t", Role.PARTICIPANT, session=session)
            assert held.get(session, peer.peer_id) == peer.peer_id
            held[session] = peer.peer_id
            away.pop(session, None)
        elif action == "lose" and session in held:
            rooms.lose(held[session], now)
            away[session] = now + SEAT_S
        elif action == "leave" and session in held:
            rooms.leave(held.pop(session))
            away.pop(session, None)
        elif action == "expire":
            rooms.expire(now)
            for gone in [s for s, until in away.items() if until <= now]:
                del held[gone], away[gone]
        assert rooms.peer_count == len(held)
        assert rooms.next_expiry_s == min(away.values(), default=None)
    for peer_id in held.values():
        rooms.leave(peer_id)
    assert rooms.room_count == 0 and rooms.next_expiry_s is None
