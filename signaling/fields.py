"""What single fields of a message may hold, and how a field that breaks its limit is told. Used by `messages` only."""

import math
import re
from enum import Enum
from typing import Any


class ErrorCode(Enum):
    """Say what was wrong with a message; the values are the wire form."""

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


class MessageError(ValueError):
    """Tell that a message breaks the schema: `code` and a sentence for people that never quotes the content."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code.value}: {detail}")
        self.code = code
        self.detail = detail


def text(
    limit: int,
    *,
    pattern: re.Pattern[str] | None = None,
    wire: str | None = None,
    optional: bool = False,
    most: int | None = None,
) -> dict[str, Any]:
    """Return the metadata of a field of text of at most `limit` characters; of a list of at most `most` such texts."""
    return {"limit": limit, "pattern": pattern, "wire": wire, "optional": optional, "most": most}


def number(largest: float) -> dict[str, Any]:
    """Return the metadata of a field that holds a number from 0 to `largest`."""
    return {"largest": largest}


def check(value: Any, metadata: Any, wire: str) -> Any:
    """Return the checked value of a field of texts or a number; a list as a tuple.

    Raises:
        MessageError: the value is of another kind or breaks its limit.
    """
    if "largest" in metadata:
        return check_number(value, metadata["largest"], wire)
    if metadata.get("most") is None:
        return check_text(value, metadata, wire)
    if not isinstance(value, list | tuple) or len(value) > metadata["most"]:
        raise MessageError(
            ErrorCode.BAD_MESSAGE, f'field "{wire}" must be a list of at most {metadata["most"]} entries'
        )
    return tuple(check_text(item, metadata, wire) for item in value)


def check_text(value: Any, metadata: Any, wire: str) -> str:
    """Return `value` if it is text within the limits of `metadata`; raises MessageError."""
    if not isinstance(value, str) or len(value) > metadata["limit"]:
        raise MessageError(
            ErrorCode.BAD_MESSAGE, f'field "{wire}" must be text of at most {metadata["limit"]} characters'
        )
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise MessageError(ErrorCode.BAD_MESSAGE, f'field "{wire}" holds a lone surrogate')
    pattern = metadata.get("pattern")
    if pattern is not None and not pattern.fullmatch(value):
        raise MessageError(ErrorCode.BAD_MESSAGE, f'field "{wire}" must match {pattern.pattern}')
    return value


def check_number(value: Any, largest: float, wire: str) -> float:
    """Return `value` as a float if it is a number from 0 to `largest`; raises MessageError."""
    # bool is an int in Python and no number in JSON; int first, for one of a thousand digits fits no float.
    wrong = isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest
    if wrong or not math.isfinite(value):
        raise MessageError(ErrorCode.BAD_MESSAGE, f'field "{wire}" must be a number from 0 to {largest:g}')
    return float(value)


def check_enum(kind: type[Any], value: Any, wire: str) -> Any:
    """Return the member of `kind` that `value` names; raises MessageError."""
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(member.value for member in kind)
        raise MessageError(ErrorCode.BAD_MESSAGE, f'field "{wire}" must be one of {known}') from error
