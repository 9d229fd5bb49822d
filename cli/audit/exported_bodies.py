"""Fetch the message bodies to which exported events refer, and write them after their events."""

from typing import TYPE_CHECKING, Any, BinaryIO

from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.client.transports.sync_http import Client
    from quorate.contracts.event_log import ContentInfo

TIMEOUT_SECONDS = 30.0  # With all retries.


class ExportedBodies:
    """Reads pages of bodies when an event needs them; few events do."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._read_until = 0  # The last sequence whose bodies were read.
        self._bodies: dict[int, list[ContentInfo]] = {}  # By the sequence of their event.

    def write_after(self, event: dict[str, Any], until: int, sink: BinaryIO) -> None:
        """Write the bodies of an event, each verified; raises Failure.

        ``until`` is the last sequence of its page: bodies are read ahead up to it.
        """
        from quorate.eventlog.archive.content_lines import REFS, ContentCheck
        from quorate.eventlog.archive.export_format import encode_content

        if not event["data"].get(REFS):
            return
        if event["sequence"] > self._read_until:
            self._read(event["sequence"], until)
        check = ContentCheck()
        try:
            check.begin(event["stream"], event["data"])
            for body in self._bodies.pop(event["sequence"], ()):
                content = check.check(_line(body))
                sink.write(encode_content(content))
        except ValueError as error:
            raise Failure(
                f"Event {event['sequence']}: the service sent another body: {error}"
            ) from error

    def _read(self, sequence: int, until: int) -> None:
        from quorate.client import requests

        request = requests.list_contents(after=sequence - 1, limit=until - sequence + 1)
        page = self._client.execute(request, timeout_seconds=TIMEOUT_SECONDS)
        self._bodies.clear()
        for body in page.contents:
            self._bodies.setdefault(body.sequence, []).append(body)
        self._read_until = page.next


def _line(body: "ContentInfo") -> dict[str, str]:
    return {"id": body.id, "part": body.part, "salt": body.salt, "data": body.data}
