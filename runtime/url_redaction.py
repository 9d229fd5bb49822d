"""Remove passwords from URLs before they are printed or logged."""

import re

REDACTED = "***"
# The user information of a URL: all text up to the last @ before the path. Also in a list of URLs.
_PASSWORD = re.compile(r"(?<=://)([^/?#\s,:@]*):([^/?#\s,]*)@")
_TOKEN = re.compile(r"(?<=://)([^/?#\s,:@]+)@")
_TOKEN_SCHEMES = re.compile(r"\b(?:nats|tls|ws|wss)://", re.IGNORECASE)


def redact_url(text: str) -> str:
    """Replace the password of each URL in the text; the user name stays.

    A NATS URL may have a token in place of the user name, so that is replaced as well.
    """
    redacted = _PASSWORD.sub(rf"\1:{REDACTED}@", text)
    if _TOKEN_SCHEMES.search(redacted):
        redacted = _TOKEN.sub(f"{REDACTED}@", redacted)
    return redacted
