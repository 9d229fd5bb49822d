"""The services of `tests/e2e/service`, for what needs one and no fleet."""

from tests.e2e.service.conftest import operator, service, tenant

__all__ = ["operator", "service", "tenant"]
