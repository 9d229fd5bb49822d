"""Read what the service counted about its requests."""

from quorate.application.request_metrics import RequestMetrics


def count_outcomes(metrics: RequestMetrics, operation: str) -> dict[str, int]:
    """Return the number of requests of an operation by outcome, without the zeros."""
    (family,) = metrics.requests.collect()
    return {
        sample.labels["outcome"]: int(sample.value)
        for sample in family.samples
        if sample.labels["operation"] == operation and sample.value
    }
