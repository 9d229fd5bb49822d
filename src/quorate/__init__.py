"""Quorate: many agents, one tenant, no collisions.

The packages below this one are links to the folders at the top of the repository. A wheel holds
the real folders instead, so that code is always imported as `quorate.<folder>`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
