"""Checks of `quorate doctor`."""
