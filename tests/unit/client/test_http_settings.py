"""Proxies and certificates of the environment, without a network."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from quorate.client import Client, ConfigurationError, UnavailableError, requests
from quorate.client.environment import resolve_service
from quorate.client.transports.http_settings import create_http_client, is_local

KEY = "qk_00000000000000000000000000000000"
VARIABLES = [
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("QUORATE_URL", "QUORATE_API_KEY"),
]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Proxy:
    """Accepts connections, keeps the first bytes of each, and closes it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.received.append(connection.recv(4_096))


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    with proxy.listener:
        yield proxy


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_key_for_this_machine_is_not_sent_to_a_proxy(proxy: Proxy, host: str) -> None:
    with Client(f"http://{host}:1", KEY) as client, pytest.raises(UnavailableError):
        client.execute(requests.get_own_key(), timeout_seconds=0.5)

    assert proxy.received == []


def test_proxy_is_used_for_other_machines(proxy: Proxy) -> None:
    with Client("http://quorate.example", KEY) as client, pytest.raises(UnavailableError):
        client.execute(requests.get_own_key(), timeout_seconds=0.5)

    assert proxy.received[0].startswith(b"GET http://quorate.example/v1/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8420", True),
        ("http://127.8.9.1", True),
        ("http://LOCALHOST:8420/x", True),
        ("http://[::1]:8420", True),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://[::2]", False),
        ("http://[", False),
        ("nonsense", False),
    ],
)
def test_local_addresses(url: str, expected: bool) -> None:
    assert is_local(url) is expected


@pytest.mark.parametrize("kind", [httpx2.Client, httpx2.AsyncClient])
def test_unknown_proxy_scheme_is_named(
    monkeypatch: pytest.MonkeyPatch, kind: type[httpx2.Client]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy:1")

    with pytest.raises(ConfigurationError, match=r"gopher.*HTTPS_PROXY"):
        create_http_client(kind, "https://quorate.example")


def test_socks_proxy_names_the_missing_package() -> None:
    """In a process of its own: the package may be installed here."""
    code = (
        "import sys; sys.modules['socksio'] = None\n"
        "from quorate.client import Client, ConfigurationError\n"
        f"try: Client('http://quorate.example', '{KEY}')\n"
        "except ConfigurationError as error: print(error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"ALL_PROXY": "socks5://proxy:1080"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'httpx2[socks]'" in ended.stdout
    assert "set by ALL_PROXY" in ended.stdout


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_certificate_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    with pytest.raises(
        ConfigurationError, match=rf"SSL_CERT_FILE cannot be used: {path}: (No such|contains no)"
    ):
        Client("https://quorate.example", KEY)


def test_missing_url_and_key_are_errors_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="QUORATE_URL"):
        resolve_service(None, None, None)
    monkeypatch.setenv("QUORATE_URL", "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="QUORATE_API_KEY"):
        resolve_service(None, None, None)


@pytest.mark.parametrize("url", ["ftp://host", "http://host:port", "host"])
def test_invalid_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError), Client(url, KEY) as client:
        client.execute(requests.get_own_key(), timeout_seconds=0.5)
