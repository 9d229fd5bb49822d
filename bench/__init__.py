"""Benchmarks of Quorate, and of comparable systems in the same run."""
