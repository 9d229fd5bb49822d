"""A service for each file, and a tenant of its own for each test."""

from tests.e2e.service.conftest import operator, service, tenant

__all__ = ["operator", "service", "tenant"]
