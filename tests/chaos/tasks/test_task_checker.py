"""The checker of results finds each fault that it is for."""

import pytest

from tests.chaos.tasks.task_checker import check_results

RESULTS = {"one": 5, "two": 7}


def completed(task_id: str, fence: int) -> dict[str, object]:
    return {"type": "TaskCompleted", "data": {"taskId": task_id, "fence": fence}}


@pytest.mark.parametrize(
    ("events", "faults"),
    [
        ([completed("one", 5), completed("two", 7)], []),
        (
            [completed("one", 5), completed("two", 7), completed("one", 5)],
            ["one was completed twice"],
        ),
        (
            [completed("one", 6), completed("two", 7)],
            ["one has the result of claim 5, completed was 6"],
        ),
        ([completed("one", 5)], ["two has the result of claim 7, completed was None"]),
        (
            [completed("one", 5), completed("two", 7), completed("six", 8)],
            ["six was not handed over"],
        ),
    ],
)
def test_faults_of_results_are_found(events: list[dict[str, object]], faults: list[str]) -> None:
    assert check_results(events, RESULTS) == faults
