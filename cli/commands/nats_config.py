"""`quorate nats-config`: what a nats-server of your own, or each of a cluster, needs to know."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.options import default_data_dir
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.bus.embedded.cluster_configuration import Cluster, Tls
    from quorate.bus.embedded.configuration import ServiceKeys

LISTEN_DEFAULT = "127.0.0.1:4222"
CLUSTER_LISTEN_DEFAULT = "127.0.0.1:6222"
STORE_DEFAULT = "./jetstream"
FILE = click.Path(dir_okay=False, path_type=Path)
READ = click.Path(exists=True, dir_okay=False, path_type=Path)
EPILOG = """
\b
Examples:
  quorate nats-config > quorate-nats.conf
  nats-server -c quorate-nats.conf
  quorate serve --nats-url nats://127.0.0.1:4222

\b
One file for all servers of a cluster; each has its own --name:
  quorate nats-config --cluster quorate --cluster-listen 0.0.0.0:6222 \\
    --route nats-1:6222 --route nats-2:6222 --route nats-3:6222 > cluster.conf
  nats-server -c cluster.conf --name nats-1
"""


@click.command("nats-config", epilog=EPILOG)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    show_default="the user's data folder",
    help="The service's data folder: it holds the keys that the service shows to NATS.",
)
@click.option(
    "--nats-keys-file", type=READ, help="The keys, if they are not in the data folder: see secrets."
)
@click.option("--listen", default=LISTEN_DEFAULT, show_default=True, help="host:port to listen on.")
@click.option(
    "--store-dir", default=STORE_DEFAULT, show_default=True, help="Where JetStream keeps its files."
)
@click.option("--monitor", help="host:port at which the server tells how it is, over HTTP.")
@click.option("--name", help="The server's name; each of a cluster has its own.")
@click.option("--cluster", "cluster_name", help="The cluster's name, the same for all of it.")
@click.option(
    "--cluster-listen",
    default=CLUSTER_LISTEN_DEFAULT,
    show_default=True,
    help="host:port for the other servers.",
)
@click.option(
    "--route",
    "routes",
    multiple=True,
    help="host:port of a server of the cluster; name them all, this one too.",
)
@click.option(
    "--route-password-file",
    type=READ,
    help="What the servers show each other. It enters what is printed: keep that to yourself.",
)
@click.option("--tls-certificate", type=FILE, help="For TLS: the server's certificate chain.")
@click.option("--tls-key", type=FILE, help="For TLS: its private key.")
@click.option(
    "--tls-ca", type=FILE, help="For TLS in a cluster: who signs the servers' certificates."
)
def nats_config(  # noqa: PLR0917 - click hands options over like this.
    data_dir: Path,
    nats_keys_file: Path | None,
    listen: str,
    store_dir: str,
    monitor: str | None,
    name: str | None,
    cluster_name: str | None,
    cluster_listen: str,
    routes: tuple[str, ...],
    route_password_file: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
) -> None:
    """Print the configuration of a nats-server that you run yourself.

    It names public keys only; the private ones stay with the service.
    """
    from quorate.bus.embedded.cluster_configuration import more_lines
    from quorate.bus.embedded.configuration import server_configuration

    tls = _tls(tls_certificate, tls_key, tls_ca)
    cluster = _cluster(cluster_name, cluster_listen, routes, route_password_file)
    more = more_lines(name=name, monitor=monitor, tls=tls, cluster=cluster)
    keys = _keys(data_dir, nats_keys_file)
    click.echo(server_configuration(keys, listen, store_dir, more), nl=False)


def _keys(data_dir: Path, keys_file: Path | None) -> "ServiceKeys":
    from quorate.bus.embedded.configuration import KeysUnreadable, read_keys, service_keys
    from quorate.bus.service import FOLDER
    from quorate.server.bootstrap import make_folder

    if keys_file is not None:
        try:
            return read_keys(keys_file)
        except KeysUnreadable as error:
            raise Failure(str(error)) from error
    folder = data_dir.expanduser().resolve()
    make_folder(folder)
    return service_keys(folder / FOLDER)


def _tls(certificate: Path | None, key: Path | None, ca: Path | None) -> "Tls | None":
    from quorate.bus.embedded.cluster_configuration import Tls

    if certificate is None and key is None and ca is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("TLS needs --tls-certificate and --tls-key.")
    return Tls(certificate=certificate, key=key, ca=ca)


def _cluster(
    name: str | None, listen: str, routes: tuple[str, ...], password_file: Path | None
) -> "Cluster | None":
    from quorate.bus.embedded.cluster_configuration import Cluster

    if name is None:
        if routes or password_file:
            raise click.UsageError("--route and --route-password-file need --cluster NAME.")
        return None
    if not routes:
        raise click.UsageError("--cluster needs a --route to each of its servers.")
    password = password_file.read_text("utf-8").strip() if password_file else None
    if password == "":
        raise click.UsageError("--route-password-file names an empty file.")
    return Cluster(name=name, listen=listen, routes=routes, password=password)
