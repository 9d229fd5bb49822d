"""Hold the clients of a nats-server that starts, until the auth callout responds.

nats-server has no listener that opens later, and its auth callout is a client like others. A
client that logs in before the callout is refused after some seconds, although its key is valid.

* A server starts with ``handshake_first``: it sends nothing before a TLS handshake, so clients of
  plain NATS wait for its first message, which precedes every login. Only the callout connects
  with TLS.
* When the callout responds, the server reloads its configuration without TLS, in about 10 ms.
* A client that waited is disconnected after HANDSHAKE_SECONDS_MAX, like one that connects before
  the server listens. It is never refused. Until then it can delay the reload, which needs a lock
  that nats-server 2.15 holds during the handshake.
* TLS is no protection here: the certificate is not verified, the connection is local, and logins
  are still authenticated. Each start creates another certificate.
"""

import asyncio
import base64
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nacl.signing import SigningKey

from quorate.bus import nats_internals
from quorate.bus.auth.jwt import NatsKey
from quorate.bus.connection import Connection, ConnectionLost, RequestTimeout, connect
from quorate.bus.embedded.configuration import quote_string, write_private_file

# The auth callout responds on this subject as soon as it also responds to logins.
PROBE_SUBJECT = "_QUORATE_AUTH_PROBE"
HANDSHAKE_SECONDS_MAX = 0.25
PROBE_SECONDS = 0.005
INFO_SECONDS_MAX = 0.1  # An open server sends its first message within a millisecond.
_INFO = b"INFO"
_CERTIFICATE, _KEY = "gate.pem", "gate.key"


def write_certificate(folder: Path) -> Sequence[str]:
    """Write a new certificate; return the configuration lines of a closed gate."""
    certificate, key = _create_certificate()
    write_private_file(folder / _CERTIFICATE, certificate)
    write_private_file(folder / _KEY, key)
    return (
        "tls {",
        f"  cert_file: {quote_string(str(folder / _CERTIFICATE))}",
        f"  key_file: {quote_string(str(folder / _KEY))}",
        "  handshake_first: true",
        f"  timeout: {HANDSHAKE_SECONDS_MAX}",
        "}",
    )


async def connect_closed(url: str, key: NatsKey, name: str) -> Connection:
    """Connect through a closed gate; raises ConnectionLost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = await connect(url, key, name, handshake_first=context)
    nats_internals.mark_as_tls(connection.client)
    return connection


async def is_open(host: str, port: int) -> bool:
    """Return whether the server sends its first message to clients."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(INFO_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await reader.readexactly(len(_INFO)) == _INFO
            finally:
                writer.close()
    return False


async def wait_for_callout(url: str, key: NatsKey) -> None:
    """Return when an auth callout is subscribed; the gate must be closed."""
    while True:
        with suppress(ConnectionLost):
            connection = await connect_closed(url, key, "quorate-gate")
            try:
                await _probe_until_response(connection)
            finally:
                await connection.close()
            return
        await asyncio.sleep(PROBE_SECONDS)


async def _probe_until_response(connection: Connection) -> None:
    """Raise ConnectionLost when the server ends first."""
    while not connection.lost.is_set():
        with suppress(RequestTimeout):  # Also: no subscriber.
            await connection.request(PROBE_SUBJECT, b"")
            return
        await asyncio.sleep(PROBE_SECONDS)
    raise ConnectionLost("the server ended before the auth callout was ready")


# -- The certificate: X.509 version 1 with an Ed25519 key (RFC 5280, RFC 8410) ------------------

_INTEGER, _BIT_STRING, _OCTET_STRING, _SEQUENCE, _TIME = 0x02, 0x03, 0x04, 0x30, 0x18
_ED25519 = bytes.fromhex("300506032b6570")
_ALWAYS = b"20000101000000Z", b"99991231235959Z"
_SHORT_LENGTH_MAX = 127


def _create_certificate() -> tuple[bytes, bytes]:
    """Return a self-signed certificate without names, and its key, both as PEM."""
    key = SigningKey.generate()
    unnamed = _encode(_SEQUENCE)
    always = _encode(_SEQUENCE, *(_encode(_TIME, moment) for moment in _ALWAYS))
    public = _encode(_SEQUENCE, _ED25519, _encode(_BIT_STRING, b"\0", bytes(key.verify_key)))
    serial = _encode(_INTEGER, b"\1")
    signed = _encode(_SEQUENCE, serial, _ED25519, unnamed, always, unnamed, public)
    signature = _encode(_BIT_STRING, b"\0", key.sign(signed).signature)
    secret = _encode(_OCTET_STRING, _encode(_OCTET_STRING, bytes(key)))
    return (
        _to_pem("CERTIFICATE", _encode(_SEQUENCE, signed, _ED25519, signature)),
        _to_pem("PRIVATE KEY", _encode(_SEQUENCE, _encode(_INTEGER, b"\0"), _ED25519, secret)),
    )


def _encode(tag: int, *parts: bytes) -> bytes:
    """Encode a DER value of up to 255 bytes."""
    body = b"".join(parts)
    length = bytes([len(body)] if len(body) <= _SHORT_LENGTH_MAX else [0x81, len(body)])
    return bytes([tag]) + length + body


def _to_pem(label: str, body: bytes) -> bytes:
    encoded = base64.encodebytes(body).decode()
    return f"-----BEGIN {label}-----\n{encoded}-----END {label}-----\n".encode()
