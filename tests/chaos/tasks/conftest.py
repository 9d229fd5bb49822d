"""Service fixtures of `tests/e2e/service`, for tests of tasks."""

from tests.e2e.service.conftest import operator, service, tenant

__all__ = ["operator", "service", "tenant"]
