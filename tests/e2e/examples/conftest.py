"""Fixtures: a service for each test file, and a new tenant for each test."""

from tests.e2e.service.conftest import operator, service, tenant

__all__ = ["operator", "service", "tenant"]
