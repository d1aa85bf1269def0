import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import ErrorCode, Refused
from signaling.messages import (
    MAX_MESSAGE_BYTES,
    Answer,
    Candidate,
    Error,
    Join,
    Joined,
    Leave,
    Message,
    Offer,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    Role,
    decode,
    encode,
)

EXAMPLES = [
    Join("room-1", "secret-token", Role.CALLER, "Ann"),
    Join("room-1", "secret-token"),
    Join("room-1", "secret-token", Role.PARTICIPANT, "", "0123456789abcdef"),
    Joined("abc", (PeerInfo("d_-", Role.NODE, "é"),)),
    PeerJoined(PeerInfo("x", Role.VIEWER)),
    PeerLeft("x"),
    Offer("v=0\r\n", to="b"),
    Answer("v=0\r\n", sender="a"),
    Candidate("candidate:1 1 udp 1 192.0.2.1 9 typ host", "0", to="b"),
    Candidate("", to="b"),
    Offer("v=0\r\n", to="b", of="c_-"),
    Answer("v=0\r\n", sender="a", of="c_-"),
    Answer("", to="b", detail="this node filters at most 4 people"),
    Candidate("", to="b", of="c_-"),
    Leave(),
    Error(ErrorCode.ROOM_FULL, "full"),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_every_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message


def code_of(text: str | bytes) -> ErrorCode:
    with pytest.raises(Refused) as caught:
        decode(text)
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", ErrorCode.BAD_JSON),
        ("{", ErrorCode.BAD_JSON),
        (b"{}", ErrorCode.BAD_JSON),
        ("[" * 20_000, ErrorCode.BAD_JSON),
        ("[1]", ErrorCode.BAD_MESSAGE),
        ('{"type":"leave"}', ErrorCode.UNSUPPORTED_VERSION),
        ('{"v":true,"type":"leave"}', ErrorCode.UNSUPPORTED_VERSION),
        ('{"v":2,"type":"leave"}', ErrorCode.UNSUPPORTED_VERSION),
        ('{"v":1}', ErrorCode.UNKNOWN_TYPE),
        ('{"v":1,"type":["leave"]}', ErrorCode.UNKNOWN_TYPE),
        ('{"v":1,"type":"join","room":"a"}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"join","room":"a b","token":"t"}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"join","room":"a","token":"t","role":"king"}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"join","room":"a","token":"t","role":{}}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"offer","sdp":5}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"offer","sdp":"v=0","of":"a b"}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"offer","sdp":"v=0","of":["a"]}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"join","room":"a","token":"t","session":"too-short"}', ErrorCode.BAD_MESSAGE),
        (f'{{"v":1,"type":"join","room":"a","token":"t","session":"{"x" * 65}"}}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"join","room":"a","token":"t","session":"sixteen chars: ?"}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"joined","peer":"a","peers":[3]}', ErrorCode.BAD_MESSAGE),
        ('{"v":1,"type":"offer","sdp":"\\ud800"}', ErrorCode.BAD_MESSAGE),
        ("x" * (MAX_MESSAGE_BYTES + 1), ErrorCode.TOO_LARGE),
        ("é" * (MAX_MESSAGE_BYTES // 2 + 1), ErrorCode.TOO_LARGE),
    ],
)
def test_a_bad_message_gets_its_code(text: str | bytes, code: ErrorCode) -> None:
    assert code_of(text) is code


def test_optional_fields_may_be_empty_and_are_then_not_sent() -> None:
    assert decode('{"v":1,"type":"offer","sdp":"v=0","of":""}') == Offer("v=0")
    bare = '{"v":1,"type":"join","room":"a","token":"t","role":"viewer","session":""}'
    assert decode(bare) == Join("a", "t", Role.VIEWER)
    assert '"of"' not in encode(Offer("v=0")) and '"session"' not in encode(Join("r", "t"))


def test_unknown_fields_are_ignored() -> None:
    assert decode('{"v":1,"type":"leave","since":"v1.1"}') == Leave()


def test_encode_refuses_what_decode_would_refuse() -> None:
    with pytest.raises(Refused):
        encode(Join("no spaces allowed", "t"))
    with pytest.raises(Refused):
        encode(Offer("x" * MAX_MESSAGE_BYTES, to="b"))


def test_a_token_shows_up_neither_in_repr_nor_in_an_error() -> None:
    assert "hunter2" not in repr(Join("r", "hunter2"))
    assert "hunter2" not in repr(Join("r", "t", session="hunter2-hunter2-hunter2"))
    with pytest.raises(Refused) as caught:
        decode(json.dumps({"v": 1, "type": "join", "room": "r", "token": "hunter2" * 99}))
    assert "hunter2" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.text())
def test_any_text_is_read_or_refused_with_a_code(text: str) -> None:
    assert isinstance(code_of(text), ErrorCode)


@given(
    st.sampled_from(["join", "joined", "offer", "answer", "candidate", "peer-left", "peer-joined", "error", "leave"]),
    st.dictionaries(
        st.sampled_from(
            [
                "room",
                "token",
                "role",
                "name",
                "sdp",
                "session",
                "of",
                "to",
                "from",
                "candidate",
                "mid",
                "peer",
                "peers",
                "code",
                "detail",
            ]
        ),
        JSON,
    ),
)
def test_any_fields_give_a_message_or_a_code(kind: str, payload: dict[str, object]) -> None:
    try:
        message = decode(json.dumps({**payload, "v": 1, "type": kind}))
    except Refused as error:
        assert isinstance(error.code, ErrorCode)
    else:
        assert decode(encode(message)) == message
