"""Metrics of the outbound relay: the duration and the outcome of attempts by SMTP."""

from prometheus_client import CollectorRegistry, Histogram

ACCEPTED, TEMPORARY, PERMANENT = "accepted", "temporary_failure", "permanent_failure"
OUTCOMES = (ACCEPTED, TEMPORARY, PERMANENT)
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0)


class RelayMetrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._seconds = Histogram(
            "quorate_mail_attempt_seconds",
            "Time of an attempt to hand a message to the SMTP relay, in seconds, by outcome.",
            ("outcome",),
            registry=registry,
            buckets=SECONDS,
        )
        for outcome in OUTCOMES:  # Prometheus does not count the first value of a new series.
            self._seconds.labels(outcome)

    def record(self, outcome: str, seconds: float) -> None:
        self._seconds.labels(outcome).observe(seconds)
