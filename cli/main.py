"""The `quorate` command."""

import click

from quorate.cli.serve import serve


@click.group()
def main() -> None:
    """Quorate: leases, votes and an audit log for many agents."""


main.add_command(serve)

if __name__ == "__main__":
    main()
