"""Archived events, for commands that read a whole log."""

from pathlib import Path
from typing import Any, BinaryIO

import click

archive_option = click.option(
    "--archive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Directory of the files that `quorate log archive` wrote.",
)


def prepend_archive(file: BinaryIO, archive: Path | None) -> Any:  # noqa: ANN401 - a file-like object.
    """Return the exported file, preceded by the archived events of its tenant."""
    from quorate.eventlog.archive.files import ExtendedExport

    return file if archive is None else ExtendedExport(file, archive)
