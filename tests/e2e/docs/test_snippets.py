"""Execute every document from its first to its last block."""

import json
import shutil

import pytest

from tests.e2e.docs.markdown import EXECUTED, Document, document, documents
from tests.e2e.docs.page_runner import PageRunner, saved_programs
from tests.e2e.docs.shell import Sandbox

README = document("README.md")
EXECUTED_DOCUMENTS = [
    document
    for document in documents()
    if any(fence.language in EXECUTED for fence in document.fences)
]


def missing_program(page: Document) -> str | None:
    """Return the program that the page needs and this machine lacks."""
    needs_node = any(fence.language == "js" for fence in page.fences)
    return "node" if needs_node and shutil.which("node") is None else None


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            one,
            marks=pytest.mark.skipif(
                missing_program(one) is not None, reason=f"needs {missing_program(one)}"
            ),
            id=one.name,
        )
        for one in EXECUTED_DOCUMENTS
        if one.path != README.path
    ],
)
def test_document_runs_without_changes(page: Document, sandbox: Sandbox) -> None:
    PageRunner(sandbox).run(page)


def test_readme_shows_a_lease_conflict(sandbox: Sandbox) -> None:
    PageRunner(sandbox).run(README)

    sandbox.run_shell("unset QUORATE_API_KEY; quorate events export log.jsonl")

    lines = (sandbox.clone / "log.jsonl").read_text().splitlines()
    types = [json.loads(line)["type"] for line in lines]
    after_conflict = types[types.index("LeaseConflicted") :]
    assert [each for each in after_conflict if each in {"LeaseRenewed", "SendAuthorized"}]
    assert "LeaseReleased" in types[-2:]  # The agent deregisters when it leaves.


@pytest.mark.parametrize("page", EXECUTED_DOCUMENTS, ids=lambda page: page.name)
def test_saved_programs_are_executed(page: Document) -> None:
    for program, name in saved_programs(page):
        later = [fence.text for fence in page.fences if fence.line > program.line]
        assert any(name in text for text in later), f"{page.name}: {name} is never executed"
