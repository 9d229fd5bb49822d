"""HTTP clients of the SDK: proxies and certificates of the environment, with clear errors.

* The proxies of the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) are
  used, except for this machine: a proxy elsewhere cannot reach the service, and would get the key.
* The certificates are those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, else of the system.
"""

import ipaddress
import os
import ssl
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from quorate.client.errors import ConfigurationError

C = TypeVar("C", httpx2.Client, httpx2.AsyncClient)

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
LOCALHOST = "localhost"


def create_http_client(kind: Callable[..., C], url: str, **options: Any) -> C:  # noqa: ANN401 - see httpx2.
    """Create a client for the service at ``url``; raises ConfigurationError."""
    # Loading certificates takes most of the time, and plain HTTP needs none.
    verify: ssl.SSLContext | bool = False if is_plain_http(url) else _load_certificates()
    try:
        return kind(verify=verify, trust_env=not is_local(url), **options)
    except ImportError as error:
        raise ConfigurationError(
            f"A SOCKS proxy needs one more package: pip install 'httpx2[socks]'. {_proxies()}"
        ) from error
    except (ValueError, httpx2.InvalidURL) as error:
        raise ConfigurationError(f"The proxy is invalid: {error}. {_proxies()}") from error


def is_plain_http(url: str) -> bool:
    return url.lower().startswith("http://")


def is_local(url: str) -> bool:
    """Whether the URL names this machine: ``localhost`` or a loopback address."""
    try:
        host = urlsplit(url).hostname or ""
        return host == LOCALHOST or ipaddress.ip_address(host).is_loopback
    except ValueError:  # A name, or no URL at all.
        return False


def proxy_variables() -> list[str]:
    """Return the names of the variables of the environment that set a proxy."""
    return [
        name for name in PROXY_VARIABLES if os.environ.get(name) or os.environ.get(name.lower())
    ]


def _proxies() -> str:
    names = " and ".join(proxy_variables())
    return f"The proxy is set by {names}; set NO_PROXY to connect directly"


def _load_certificates() -> ssl.SSLContext:
    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        reason = (
            error.strerror if not isinstance(error, ssl.SSLError) else "contains no certificate"
        )
        raise ConfigurationError(
            f"{name} cannot be used: {os.environ.get(name)}: {reason}"
        ) from error
