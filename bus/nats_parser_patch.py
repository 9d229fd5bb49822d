"""Replace two regular expressions in nats-py's protocol parser.

Why:

* nats-server forwards subjects and reply subjects that other clients chose. It separates the words
  of a protocol line at a space, a tab and a line end; every other byte may be part of a word.
* nats-py 2.16 also separates words at a form feed and other white space. A subject with such a byte
  makes the rest of the line unparsable, and nats-py then closes the connection.
* Any client that may publish could therefore disconnect the service.

The parser reads these module attributes on each message and offers no other setting. The decision
is in docs/decisions/0057-nats-parser-patch.md.
"""

import re
from importlib.metadata import version

import structlog
from nats.protocol import parser

TESTED_VERSIONS = ("2.16",)  # Of nats-py; requirements.lock pins one of them.
_MSG_RE = re.compile(rb"MSG +([^ \t\n]+) +(\d+) +(([^ \t\n]+) +)?(\d+)\r\n")
_HMSG_RE = re.compile(rb"HMSG +([^ \t\n]+) +(\d+) +(([^ \t\n]+) +)?(\d+) +(\d+)\r\n")
# The patterns of nats-py 2.16. The patch replaces these and no others.
_ORIGINAL_MSG = b"\\AMSG\\s+([^\\s]+)\\s+([^\\s]+)\\s+(([^\\s]+)[^\\S\r\n]+)?(\\d+)\r\n"
_ORIGINAL_HMSG = (
    b"\\AHMSG\\s+([^\\s]+)\\s+([^\\s]+)\\s+(([^\\s]+)[^\\S\r\n]+)?([\\d]+)\\s+(\\d+)\r\n"
)

log = structlog.get_logger(__name__)


def apply() -> None:
    """Patch the parser for the whole process; later calls change nothing.

    Logs a warning for a version of nats-py that was not tested. Logs an error and changes nothing
    when the parser differs from the one of the tested versions: the service then works, but a
    client with an unusual subject can disconnect it.
    """
    if (parser.MSG_RE, parser.HMSG_RE) == (_MSG_RE, _HMSG_RE):
        return
    installed = version("nats-py")
    if (parser.MSG_RE.pattern, parser.HMSG_RE.pattern) != (_ORIGINAL_MSG, _ORIGINAL_HMSG):
        log.error("nats.parser_patch_skipped", version=installed, tested=TESTED_VERSIONS)
        return
    if installed.rpartition(".")[0] not in TESTED_VERSIONS:
        log.warning("nats.parser_patch_untested", version=installed, tested=TESTED_VERSIONS)
    parser.MSG_RE, parser.HMSG_RE = _MSG_RE, _HMSG_RE
