"""Where the service is and who calls it: what was given, else the environment."""

import os

from quorate.domain.shared.records import record

URL = "QUORATE_URL"
API_KEY = "QUORATE_API_KEY"
NATS_URL = "QUORATE_NATS_URL"


@record
class Service:
    """``nats_url`` is None where HTTP alone is used."""

    url: str
    api_key: str
    nats_url: str | None


def service(url: str | None, api_key: str | None, nats_url: str | None) -> Service:
    """Raises ValueError when it is said nowhere. An empty ``nats_url`` means HTTP alone."""
    found_url = url or os.environ.get(URL)
    found_key = api_key or os.environ.get(API_KEY)
    if not found_url:
        raise ValueError(f"give url, or set {URL}")
    if not found_key:
        raise ValueError(f"give api_key, or set {API_KEY}")
    found_nats = os.environ.get(NATS_URL) if nats_url is None else nats_url
    return Service(url=found_url, api_key=found_key, nats_url=found_nats or None)
