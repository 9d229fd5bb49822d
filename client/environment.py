"""Find the address of the service and the key: explicit arguments, else environment variables."""

import os
from dataclasses import field

from quorate.client.errors import ConfigurationError
from quorate.domain.shared.records import record

URL = "QUORATE_URL"
API_KEY = "QUORATE_API_KEY"
NATS_URL = "QUORATE_NATS_URL"


@record
class ServiceAddress:
    """Address of a service and the key to use. ``nats_url`` is None for HTTP only."""

    url: str
    api_key: str = field(repr=False)
    nats_url: str | None


def resolve_service(url: str | None, api_key: str | None, nats_url: str | None) -> ServiceAddress:
    """Return the address of the service. An empty ``nats_url`` means HTTP only.

    Raises ConfigurationError when neither argument nor environment gives the URL or the key.
    """
    found_url = url or os.environ.get(URL)
    found_key = api_key or os.environ.get(API_KEY)
    if not found_url:
        raise ConfigurationError(f"The service URL is missing: pass url or set {URL}")
    if not found_key:
        raise ConfigurationError(f"The API key is missing: pass api_key or set {API_KEY}")
    found_nats_url = os.environ.get(NATS_URL) if nats_url is None else nats_url
    return ServiceAddress(url=found_url, api_key=found_key, nats_url=found_nats_url or None)
