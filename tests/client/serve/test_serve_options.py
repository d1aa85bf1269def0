"""What `lipline serve` says about certificates, and what it prints for browsers."""

import ssl
import subprocess
from pathlib import Path

import pytest

from client.errors import UsageError
from client.serve.certificates import MAKE_ONE, load_tls
from client.serve.command import advice, is_local
from client.serve.host import hosted
from client.serve.pages import page
from realtime.rtc.node.plain import PlainNode
from signaling.client import SignalingClient
from signaling.messages import Role


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Make two certificates with the very command that the help gives, for an address that is not loopback."""
    found = []
    for name in ("one", "two"):
        folder = tmp_path_factory.mktemp(name)
        subprocess.run(MAKE_ONE.format(address="192.0.2.7").split(), check=True, capture_output=True, cwd=folder)
        found.append((folder / "cert.pem", folder / "key.pem"))
    return found


async def test_the_command_that_we_give_makes_a_certificate_that_serves(pairs: list[tuple[Path, Path]]) -> None:
    tls = load_tls(*pairs[0])
    async with hosted(["r"], "t", PlainNode, tls=tls, pages=page) as here:
        assert here.url.startswith("wss://127.0.0.1:") and here.page_url.startswith("https://127.0.0.1:")
        async with SignalingClient(here.url, "r", "t", tls=tls.own) as ann:
            assert [peer.role for peer in ann.peers.values()] == [Role.NODE]
        other = ssl.create_default_context(cafile=str(pairs[1][0]))
        other.check_hostname = False
        with pytest.raises(Exception, match="not trusted"):
            async with SignalingClient(here.url, "r", "t", tls=other):
                pass


def test_files_that_do_not_serve_are_explained(pairs: list[tuple[Path, Path]], tmp_path: Path) -> None:
    (cert, key), (_, other) = pairs
    with pytest.raises(UsageError, match="does not belong"):
        load_tls(cert, other)
    with pytest.raises(UsageError, match="cannot read --key .*No such file"):
        load_tls(cert, tmp_path / "none.pem")
    with pytest.raises(UsageError, match="cannot read --cert .*directory"):
        load_tls(tmp_path, key)
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    for arguments in ((garbage, key), (cert, garbage), (key, cert)):
        with pytest.raises(UsageError, match="openssl req"):
            load_tls(*arguments)
    locked = tmp_path / "locked.pem"
    command = ["openssl", "ec", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(UsageError, match="without a password"):
        load_tls(cert, locked)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_this_machine_there_is_nothing_to_warn_of(host: str) -> None:
    assert is_local(host) and advice(host, False) == []


def test_others_are_told_of_tls() -> None:
    lines = "\n".join(advice("192.0.2.7", False))
    assert "no camera" in lines and "subjectAltName=IP:192.0.2.7" in lines and "this machine's address" not in lines
    assert advice("192.0.2.7", True) == []
    assert "this machine's address" in advice("0.0.0.0", True)[0]
    assert "IP:ADDRESS" in "\n".join(advice("::", False))
