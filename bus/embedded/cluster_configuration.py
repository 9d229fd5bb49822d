"""What more a nats-server is told when strangers or other servers reach it: TLS and the cluster.

* The servers of a cluster name each other once, here; clients are told nothing of it, because the
  addresses by which servers find each other are seldom those that agents can use.
* Whoever may connect to a cluster's port is a part of the cluster and hears everything. So the
  servers show each other a password, or certificates that one authority has signed, or both.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from quorate.bus.embedded.configuration import quote_string
from quorate.domain.shared.records import record

ROUTE_USER = "quorate"
ROUTE_SECONDS_MAX = 5  # TLS and all: servers that start together find each other slowly.


@record
class Tls:
    """``ca`` is who signs the servers' own certificates, for servers that check each other."""

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
    """``routes`` are the ``host:port`` of all servers; a server leaves itself out."""

    name: str
    listen: str
    routes: Sequence[str]
    password: str | None = None

    def lines(self, tls: Tls | None) -> Sequence[str]:
        inside = [
            f"name: {quote_string(self.name)}",
            f"listen: {quote_string(self.listen)}",
            "no_advertise: true",
            *self._authorization(),
            *(tls.lines(mutual=True) if tls else ()),
            "routes: [",
            *(f"  {quote_string(self._url(route))}" for route in self.routes),
            "]",
        ]
        return ("cluster {", *(f"  {line}" for line in inside), "}")

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
        shown = "" if self.password is None else f"{ROUTE_USER}:{quote(self.password, safe='')}@"
        return f"nats-route://{shown}{route}"


def extra_lines(
    *, name: str | None, monitor: str | None, tls: Tls | None, cluster: Cluster | None
) -> Sequence[str]:
    """The lines that follow those that every nats-server for Quorate has."""
    return (
        *([f"server_name: {quote_string(name)}"] if name else ()),
        *([f"http: {quote_string(monitor)}"] if monitor else ()),
        *(tls.lines(mutual=False) if tls else ()),
        *(cluster.lines(tls) if cluster else ()),
    )
