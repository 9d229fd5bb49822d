"""`quorate nats-config`: what a nats-server of your own needs to know."""

from pathlib import Path

import click

from quorate.cli.options import default_data_dir

LISTEN_DEFAULT = "127.0.0.1:4222"
STORE_DEFAULT = "./jetstream"
EPILOG = """
\b
Example:
  quorate nats-config > quorate-nats.conf
  nats-server -c quorate-nats.conf
  quorate serve --nats-url nats://127.0.0.1:4222
"""


@click.command("nats-config", epilog=EPILOG)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    show_default="the user's data folder",
    help="The service's data folder: it holds the keys that the service shows to NATS.",
)
@click.option("--listen", default=LISTEN_DEFAULT, show_default=True, help="host:port to listen on.")
@click.option(
    "--store-dir", default=STORE_DEFAULT, show_default=True, help="Where JetStream keeps its files."
)
def nats_config(data_dir: Path, listen: str, store_dir: str) -> None:
    """Print the configuration of a nats-server that you run yourself.

    It names public keys only; the private ones stay in the data folder.
    """
    from quorate.api.bootstrap import make_folder
    from quorate.bus.push import FOLDER
    from quorate.bus.server_configuration import server_configuration, service_keys

    folder = data_dir.expanduser().resolve()
    make_folder(folder)
    keys = service_keys(folder / FOLDER)
    click.echo(server_configuration(keys, listen, store_dir), nl=False)
