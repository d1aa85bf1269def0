"""Why signaling refuses something: a code that programs read, and a sentence for people."""

from enum import Enum


class ErrorCode(Enum):
    """What was wrong with a message; the values are the wire form."""

    BAD_JSON = "bad-json"
    TOO_LARGE = "too-large"
    BAD_MESSAGE = "bad-message"
    UNKNOWN_TYPE = "unknown-type"
    UNSUPPORTED_VERSION = "unsupported-version"
    BAD_TOKEN = "bad-token"
    ROOM_FULL = "room-full"
    SERVER_FULL = "server-full"
    ROLE_TAKEN = "role-taken"
    ALREADY_JOINED = "already-joined"
    NOT_JOINED = "not-joined"
    NO_SUCH_PEER = "no-such-peer"
    RATE_LIMITED = "rate-limited"
    TIMEOUT = "timeout"
    SHUTTING_DOWN = "shutting-down"


class Refused(ValueError):
    """Raised for a message that breaks the schema or that a room does not take.

    Attributes:
        code: the reason, as it goes over the wire.
        detail: a sentence for people; it names fields and never quotes their content.
    """

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code.value}: {detail}")
        self.code = code
        self.detail = detail
