"""The services of `tests/service`, for what needs one and no fleet."""

from tests.service.conftest import operator, service, tenant

__all__ = ["operator", "service", "tenant"]
