"""What the documents show does what they say: each is followed from its first line to its last."""

import json

import pytest

from tests.e2e.docs.markdown import RUN, Document, document, documents
from tests.e2e.docs.page_runner import Reader, saved_names
from tests.e2e.docs.shell import Machine

FOLLOWED = [
    document for document in documents() if any(fence.language in RUN for fence in document.fences)
]


FIRST_PAGE = document("README.md")


@pytest.mark.parametrize(
    "written",
    [one for one in FOLLOWED if one.path != FIRST_PAGE.path],
    ids=lambda written: written.name,
)
def test_a_document_can_be_followed_to_the_letter(written: Document, machine: Machine) -> None:
    Reader(machine).follow(written)


def test_whoever_follows_the_first_page_has_seen_a_conflict(machine: Machine) -> None:
    Reader(machine).follow(FIRST_PAGE)

    machine.type("unset QUORATE_API_KEY; quorate events export seen.jsonl")

    lines = (machine.clone / "seen.jsonl").read_text().splitlines()
    log = [json.loads(line)["type"] for line in lines]
    after_the_conflict = log[log.index("LeaseConflicted") :]
    assert [each for each in after_the_conflict if each in {"LeaseRenewed", "SendAuthorized"}]
    assert log[-1] == "LeaseReleased"


@pytest.mark.parametrize("written", FOLLOWED, ids=lambda written: written.name)
def test_every_program_that_is_saved_is_also_run(written: Document) -> None:
    for program, name in saved_names(written):
        later = [fence.text for fence in written.fences if fence.line > program.line]
        assert any(name in text for text in later), f"{written.name}: {name} is never run"
