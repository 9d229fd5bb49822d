"""Configuration of nats-server for TLS and clusters.

* The servers of a cluster are configured with each other's addresses and do not advertise them to
  clients, because agents usually cannot use the addresses between servers.
* Every server that may connect to the cluster port sees all traffic. Servers therefore authenticate
  each other with a password, with certificates of one authority, or with both.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from quorate.bus.embedded.configuration import quote_string
from quorate.domain.shared.records import record

ROUTE_USER = "quorate"
ROUTE_SECONDS_MAX = 5  # Including TLS: servers that start together connect slowly.


@record
class Tls:
    """``ca`` is the certificate authority with which servers verify each other."""

    certificate: Path
    key: Path
    ca: Path | None = None

    def lines(self, *, mutual: bool) -> Sequence[str]:
        files = [
            f"cert_file: {quote_string(str(self.certificate))}",
            f"key_file: {quote_string(str(self.key))}",
        ]
        if mutual and self.ca is not None:
            files += [f"ca_file: {quote_string(str(self.ca))}", "verify: true"]
        return ("tls {", *(f"  {line}" for line in (*files, f"timeout: {ROUTE_SECONDS_MAX}")), "}")


@record
class Cluster:
    """``routes`` are ``host:port`` of all servers; nats-server ignores the route to itself."""

    name: str
    listen: str
    routes: Sequence[str]
    password: str | None = None

    def lines(self, tls: Tls | None) -> Sequence[str]:
        lines = [
            f"name: {quote_string(self.name)}",
            f"listen: {quote_string(self.listen)}",
            "no_advertise: true",
            *self._authorization(),
            *(tls.lines(mutual=True) if tls else ()),
            "routes: [",
            *(f"  {quote_string(self._url(route))}" for route in self.routes),
            "]",
        ]
        return ("cluster {", *(f"  {line}" for line in lines), "}")

    def _authorization(self) -> Sequence[str]:
        if self.password is None:
            return ()
        return (
            "authorization {",
            f"  user: {ROUTE_USER}",
            f"  password: {quote_string(self.password)}",
            f"  timeout: {ROUTE_SECONDS_MAX}",
            "}",
        )

    def _url(self, route: str) -> str:
        login = "" if self.password is None else f"{ROUTE_USER}:{quote(self.password, safe='')}@"
        return f"nats-route://{login}{route}"


def extra_lines(
    *, name: str | None, monitor: str | None, tls: Tls | None, cluster: Cluster | None
) -> Sequence[str]:
    """Return the configuration lines in addition to those of every nats-server for Quorate."""
    return (
        *([f"server_name: {quote_string(name)}"] if name else ()),
        *([f"http: {quote_string(monitor)}"] if monitor else ()),
        *(tls.lines(mutual=False) if tls else ()),
        *(cluster.lines(tls) if cluster else ()),
    )
