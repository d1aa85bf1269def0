"""Pages and signaling on one port, plain and over TLS."""

import asyncio
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from signaling.client import SignalingClient, SignalingError
from signaling.pages import SECURITY_HEADERS, Page, answer_http, is_upgrade
from signaling.rooms import Rooms
from signaling.server import SignalingServer

HTML = Page("<!doctype html><p>é".encode(), "text/html; charset=utf-8")


def pages(path: str) -> Page | None:
    return {"/": HTML, "/big.js": Page(b"/" * 3_000_000, "text/javascript")}.get(path)


def get(url: str, **more: object) -> tuple[int, dict[str, str], bytes]:
    method, tls = str(more.get("method", "GET")), more.get("tls")
    assert tls is None or isinstance(tls, ssl.SSLContext)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=90, context=tls) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


async def test_one_port_gives_the_page_and_signaling() -> None:
    async with SignalingServer(Rooms(), port=0, pages=pages) as server, SignalingClient(server.url, "r", "t") as ann:
        base = server.url.replace("ws://", "http://")
        assert ann.peer_id
        status, headers, body = await asyncio.to_thread(get, base + "?room=lipline")
        assert (status, body) == (200, HTML.body)
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        for name, value in SECURITY_HEADERS.items():
            assert headers[name] == value
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert len((await asyncio.to_thread(get, base + "big.js"))[2]) == 3_000_000
        assert (await asyncio.to_thread(get, base + "nowhere"))[0] == 404
        assert (await asyncio.to_thread(get, base + "health"))[0] == 200
        with pytest.raises(SignalingError):
            async with SignalingClient(server.url + "big.js", "r", "t"):
                pass


async def test_only_get_is_answered() -> None:
    async with SignalingServer(Rooms(), port=0, pages=pages) as server:
        for method in ("POST", "DELETE"):
            status, _, _ = await asyncio.to_thread(get, server.url.replace("ws://", "http://"), method=method)
            assert status in (400, 405)


async def test_without_pages_there_is_signaling_alone() -> None:
    async with SignalingServer(Rooms(), port=0) as server:
        status, _, _ = await asyncio.to_thread(get, server.url.replace("ws://", "http://"))
        assert status == 426
        assert (await asyncio.to_thread(get, server.url.replace("ws://", "http://") + "x"))[0] == 404


@pytest.mark.parametrize(
    ("values", "upgrade"),
    [
        ([], False),
        (["keep-alive"], False),
        (["Upgrade"], True),
        (["keep-alive, Upgrade"], True),
        (["keep-alive", "upgrade"], True),
        (["upgraded"], False),
    ],
)
def test_a_handshake_is_told_by_its_connection_header(values: list[str], upgrade: bool) -> None:
    request = Request("/", Headers([("Connection", value) for value in values]))
    assert is_upgrade(request) is upgrade
    assert (answer_http(request, pages, dict) is None) is upgrade


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=lipline", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


async def test_tls_carries_page_and_signaling(certificate: tuple[Path, Path]) -> None:
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    async with SignalingServer(Rooms(), port=0, pages=pages, tls=server_side) as server:
        assert server.url.startswith("wss://127.0.0.1:")
        async with SignalingClient(server.url, "r", "t", tls=trusting) as ann:
            assert ann.peer_id
        page = await asyncio.to_thread(get, server.url.replace("wss:", "https:"), tls=trusting)
        assert page[2] == HTML.body
        with pytest.raises(SignalingError, match="SSL_CERT_FILE") as caught:
            async with SignalingClient(server.url, "r", "t"):
                pass
        assert caught.value.lasting
        with pytest.raises(SignalingError, match="cannot reach"):
            async with SignalingClient(server.url.replace("wss:", "ws:"), "r", "t"):
                pass
