"""Old events that `quorate log archive` moved to files, for verbs that read all of a log."""

from pathlib import Path
from typing import Any, BinaryIO

import click

archive_option = click.option(
    "--archive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where `quorate log archive` put old events.",
)


def continued(file: BinaryIO, archive: Path | None) -> Any:  # noqa: ANN401 - as much of a file as is read.
    """An exported file, and before it the events of its tenant that were archived."""
    from quorate.eventlog.archive.files import Continued

    return file if archive is None else Continued(file, archive)
