"""What the server gives to a browser besides signaling: pages, and the headers that fence them in."""

import email.utils
import http
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

SECURITY_HEADERS = {
    # The page speaks to this server, its scripts and styles come from it, and its media from memory or a peer.
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; media-src blob: mediastream:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file for browsers: its bytes and its media type, such as "text/html; charset=utf-8"."""

    body: bytes = field(repr=False)
    content_type: str


Pages = Callable[[str], Page | None]
"""Finds the page of a path without its query, such as "/" or "/call.js"; None where there is none. Must not block."""


def answer_http(request: Request, pages: Pages | None, health: Callable[[], dict[str, object]]) -> Response | None:
    """Answer what is no websocket handshake at "/": health, pages, and refusals; None for such a handshake.

    Without `pages` a plain `GET /` gives None too: websockets explains that it wants an upgrade.
    """
    path = request.path.partition("?")[0]
    if getattr(request, "method", "GET") != "GET":  # websockets 15 refuses other methods by itself
        return text(http.HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is answered here.", {"Allow": "GET"})
    if path == "/health":
        return respond(http.HTTPStatus.OK, Page(f"{json.dumps(health())}\n".encode(), "application/json"))
    if pages is not None and not is_upgrade(request):
        page = pages(path)
        return respond(http.HTTPStatus.OK, page) if page else text(http.HTTPStatus.NOT_FOUND, "There is no such page.")
    if path != "/":
        return text(http.HTTPStatus.NOT_FOUND, "Signaling is at /, health at /health.")
    return None


def is_upgrade(request: Request) -> bool:
    """Return whether a request asks for another protocol (RFC 9110, 7.8), as every websocket handshake does."""
    tokens = ",".join(request.headers.get_all("Connection")).lower().split(",")
    return "upgrade" in (token.strip() for token in tokens)


def respond(status: http.HTTPStatus, page: Page, extra: dict[str, str] | None = None) -> Response:
    """Return the response that carries `page`; the connection closes after it."""
    headers = Headers(
        {
            "Date": email.utils.formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(page.body)),
            "Content-Type": page.content_type,
            **SECURITY_HEADERS,
            **(extra or {}),
        }
    )
    return Response(status.value, status.phrase, headers, page.body)


def text(status: http.HTTPStatus, line: str, extra: dict[str, str] | None = None) -> Response:
    """Return a response of one line of plain text."""
    return respond(status, Page(f"{line}\n".encode(), "text/plain; charset=utf-8"), extra)
