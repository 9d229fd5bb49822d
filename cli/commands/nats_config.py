"""`quorate nats-config`: print the configuration of an external nats-server or cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.options import require_default_data_dir
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
Use one file for all servers of a cluster; each server has its own --name:
  quorate nats-config --cluster quorate --cluster-listen 0.0.0.0:6222 \\
    --route nats-1:6222 --route nats-2:6222 --route nats-3:6222 > cluster.conf
  nats-server -c cluster.conf --name nats-1
"""


@click.command("nats-config", epilog=EPILOG)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=require_default_data_dir,
    show_default="the user's data directory",
    help="Data directory of the service with its NATS keys; created if missing.",
)
@click.option(
    "--nats-keys-file",
    type=READ,
    help="File with the NATS keys from `quorate secrets`, instead of --data-dir.",
)
@click.option("--listen", default=LISTEN_DEFAULT, show_default=True, help="host:port to listen on.")
@click.option(
    "--store-dir",
    default=STORE_DEFAULT,
    show_default=True,
    help="Directory of the JetStream files.",
)
@click.option("--monitor", help="host:port of the HTTP monitoring endpoint. [default: none]")
@click.option("--name", help="Name of the server, unique in the cluster.")
@click.option("--cluster", "cluster_name", help="Name of the cluster, the same for all servers.")
@click.option(
    "--cluster-listen",
    default=CLUSTER_LISTEN_DEFAULT,
    show_default=True,
    help="host:port that the server listens on for cluster routes.",
)
@click.option(
    "--route",
    "routes",
    multiple=True,
    help="host:port of a cluster server; repeat it for every server, including this one.",
)
@click.option(
    "--route-password-file",
    type=READ,
    help="File with the password of the cluster routes. The output contains it: keep it secret.",
)
@click.option("--tls-certificate", type=FILE, help="TLS certificate chain of the server.")
@click.option("--tls-key", type=FILE, help="TLS private key of the server.")
@click.option(
    "--tls-ca", type=FILE, help="CA certificate that signs the certificates of the cluster servers."
)
def nats_config(  # noqa: PLR0917 - click passes options as arguments.
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
    """Print the configuration of an external nats-server.

    It contains only public keys; the private keys stay with the service.
    """
    from quorate.bus.embedded.cluster_configuration import extra_lines
    from quorate.bus.embedded.configuration import server_configuration

    tls = _tls(tls_certificate, tls_key, tls_ca)
    cluster = _cluster(cluster_name, cluster_listen, routes, route_password_file)
    more = extra_lines(name=name, monitor=monitor, tls=tls, cluster=cluster)
    keys = _keys(data_dir, nats_keys_file)
    click.echo(server_configuration(keys, listen, store_dir, more), nl=False)


def _keys(data_dir: Path, keys_file: Path | None) -> "ServiceKeys":
    from quorate.bus.embedded.configuration import KeysUnreadable, read_keys, service_keys
    from quorate.bus.service import FOLDER
    from quorate.server.bootstrap import create_data_dir

    if keys_file is not None:
        try:
            return read_keys(keys_file)
        except KeysUnreadable as error:
            raise Failure(str(error)) from error
    folder = data_dir.expanduser().resolve()
    create_data_dir(folder)
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
        raise click.UsageError("--cluster needs --route for every server of the cluster.")
    password = password_file.read_text("utf-8").strip() if password_file else None
    if password == "":
        raise click.UsageError("The file of --route-password-file is empty.")
    return Cluster(name=name, listen=listen, routes=routes, password=password)
