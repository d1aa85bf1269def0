"""Certificates for `lipline serve`: read them with errors that say what to do, and trust them in our own process."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from client.errors import UsageError

MAKE_ONE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -keyout key.pem -out cert.pem "
    "-subj /CN=lipline -addext subjectAltName=IP:{address}"
)
"""The command that makes a certificate for `address`; browsers ask once whether to trust it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Both ends of TLS: `server` presents the certificate, `own` lets the node in this process trust just that."""

    server: ssl.SSLContext
    own: ssl.SSLContext


def load_tls(cert: Path, key: Path) -> Tls:
    """Read a certificate (PEM, with its chain if it has one) and its key (PEM, without a password).

    Raises:
        UsageError: a file is missing, unreadable or no PEM, or key and certificate do not belong together.
    """
    for option, path in (("--cert", cert), ("--key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {option} {path}: {error.strerror}; check path and permissions") from error
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a callback OpenSSL would ask for a password on the terminal.
        server.load_cert_chain(cert, key, password=lambda: "")
        own = ssl.create_default_context(cafile=str(cert))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"the key {key} does not belong to the certificate {cert}: give the pair") from error
        raise UsageError(
            f"{cert} and {key} are no certificate and key in PEM without a password ({error.reason or error}): "
            f"make a pair with {MAKE_ONE.format(address='ADDRESS')}"
        ) from error
    # The node joins over loopback, for which the certificate need not be made, and trusts that very file alone.
    own.check_hostname = False
    own.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return Tls(server, own)
