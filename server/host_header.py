"""Check the Host header of a request (RFC 9112, section 3.2)."""

import re

from quorate.runtime.asgi import Headers

HTTP_1_0 = "1.0"
# A name, an IPv4 address or an IPv6 address in brackets, and a port. The value may be empty.
_VALID = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::[0-9]*)?")


def has_valid_host(headers: Headers, version: str) -> bool:
    """Return whether there is exactly one valid Host header, or none in HTTP/1.0."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return not hosts and version == HTTP_1_0
    return _VALID.fullmatch(hosts[0]) is not None
