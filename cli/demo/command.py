"""`quorate demo`: five agents at work, to show what Quorate does.

* By default it runs on a temporary service, because the events of a demo cannot be removed from a
  log.
* The display comes from the event log of the service. The claim at the end (no overlapping leases
  of a contact) comes from measurements of the agents with one local clock.
* It stops automatically, when all its parts are shown. On a running service its events and the
  agents "demo-*" remain.
"""

import sys

import click

from quorate.cli.connection.resolve import Service, TargetSources, resolve_target
from quorate.cli.options import json_option, service_options
from quorate.cli.output.console import print_details, print_json
from quorate.cli.output.errors import ERROR, SIGNALLED, report_errors
from quorate.cli.parameter_types import Duration

SECONDS_DEFAULT = 20.0
SECONDS_MIN = 5.0
SECONDS_MAX = 600.0
EPILOG = """
\b
Examples:
  quorate demo
  quorate demo --seconds 5 --no-json
  quorate demo --running --seconds 5 --json
  quorate demo --fleet

At a terminal the display is live; elsewhere the output is JSON lines (the events, then a summary),
or text with --no-json. The demo continues after --seconds until all its parts are shown, at most
30 s longer. On a running service a heartbeat timeout is shown only if the heartbeat
window (`quorate serve --heartbeat-window-seconds`) is at most 40% of --seconds.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--seconds",
    envvar="QUORATE_DEMO_SECONDS",
    type=Duration("s", SECONDS_MIN, SECONDS_MAX),
    default=f"{SECONDS_DEFAULT:g}s",
    show_default=True,
    help="Least duration of the demo, e.g. 30s or 2m; a plain number means seconds.",
)
@click.option(
    "--running/--temporary",
    "running",
    default=None,
    help="Use the configured service, or start a temporary one. [default: temporary, unless --url,"
    " --api-key, --context or --data-dir is given]",
)
@click.option(
    "--fleet",
    is_flag=True,
    help="Create a realistic fleet on the configured service instead, to look at it.",
)
@service_options
@json_option
def demo(
    sources: TargetSources, seconds: float, running: bool | None, fleet: bool, as_json: bool
) -> None:
    """Show five agents that compete for contacts, vote, delegate tasks, and survive crashes.

    A temporary service needs `pip install 'quorate[server]'`; a running service needs a tenant key.
    Contacts end in @demo.example, agent names start with "demo-". No mail leaves the service:
    the send gate blocks the one message to a contact.
    """
    if fleet:
        if running is False:
            raise click.UsageError("--fleet needs a running service: omit --temporary")
        with report_errors(as_json=as_json):
            _create_fleet(resolve_target(sources), as_json=as_json)
        return
    from quorate.cli.demo.run import Interrupted, Show, on_running, on_temporary

    if running is None:
        given = sources.command_line
        running = any((given.url, given.api_key, given.context, given.data_dir))
    show = Show(seconds, live=sys.stdout.isatty() and not as_json, as_json=as_json)
    with report_errors():
        try:
            summary = on_running(show, resolve_target(sources)) if running else on_temporary(show)
        except Interrupted as interrupted:
            sys.exit(SIGNALLED + interrupted.number)
    show.print_summary(summary)
    if not summary.passed:
        sys.exit(ERROR)


def _create_fleet(service: Service, *, as_json: bool) -> None:
    from quorate.cli.demo.sample_fleet import SampleFleet
    from quorate.client.transports.sync_http import Client

    with Client(service.url, service.api_key) as client:
        fleet = SampleFleet(client)
        fleet.create()
    made = {name: str(count) for name, count in fleet.made.items()}
    if as_json:
        print_json(dict(fleet.made))
    else:
        print_details("Created a fleet. `quorate console` shows it.", made)
