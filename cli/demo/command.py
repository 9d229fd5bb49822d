"""`quorate demo`: a small fleet at work, for people who want to see what Quorate does.

* It runs on a temporary service of its own unless told otherwise: a log is never cleaned up, and
  nobody's log is filled with a demo by mistake.
* What it shows comes from the service's log; what it claims at the end (no two holds of a contact
  overlapped) was measured by the agents, by their own clock.
* It ends by itself, and leaves nothing behind but, on a running service, the events and the agents
  whose names begin with "demo-".
"""

import sys

import click

from quorate.cli.connection.resolve import TargetSources, called_service
from quorate.cli.options import json_option, service_options
from quorate.cli.output.errors import ERROR, calls

SECONDS_DEFAULT = 20.0
SECONDS_MIN = 5.0
SECONDS_MAX = 600.0
SIGNALLED = 128
EPILOG = """
\b
Examples:
  quorate demo
  quorate demo --seconds 5 --no-json
  quorate demo --running --seconds 5 --json

At a terminal it is a live picture; elsewhere JSON lines (the log's events, then a summary), or
lines of words with --no-json. On a running service a lapse is shown only if its heartbeat window
(`quorate serve --heartbeat-window-seconds`) is a good deal shorter than the demo.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--seconds",
    envvar="QUORATE_DEMO_SECONDS",
    type=click.FloatRange(SECONDS_MIN, SECONDS_MAX),
    default=SECONDS_DEFAULT,
    show_default=True,
    help="How long it takes, more or less.",
)
@click.option(
    "--running/--temporary",
    "running",
    default=None,
    help="On the service that is known, or on one of its own. [default: of its own, unless --url,"
    " --api-key, --context or --data-dir is given]",
)
@service_options
@json_option
def demo(where: TargetSources, seconds: float, running: bool | None, as_json: bool) -> None:
    """Watch five agents contend for three contacts, vote, and survive a crash.

    Needs `pip install 'quorate[server]'` for a service of its own, or a tenant's key for a running
    one. Contacts end in @demo.example, agents begin with "demo-": nobody is written to.
    """
    from quorate.cli.demo.run import Interrupted, Show, on_running, on_temporary

    if running is None:
        said = where.command_line
        running = any((said.url, said.api_key, said.context, said.data_dir))
    show = Show(seconds, live=sys.stdout.isatty() and not as_json, as_json=as_json)
    with calls():
        try:
            summary = on_running(show, called_service(where)) if running else on_temporary(show)
        except Interrupted as interrupted:
            sys.exit(SIGNALLED + interrupted.number)
    show.conclude(summary)
    if not summary.held_up:
        sys.exit(ERROR)
