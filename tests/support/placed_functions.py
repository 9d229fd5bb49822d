"""Functions that are defined in place: pytest rewrites the code of test modules, not of this."""

from collections.abc import Callable

FACTOR = 3


def multiply(factor: int) -> Callable[[int], int]:
    return lambda number: number * factor


def two_of_one_line() -> tuple[Callable[[int], int], Callable[[int], int]]:
    return (lambda number: number * 2), (lambda number: -number)


def nested() -> Callable[..., int]:
    inner = multiply(2)

    def outer(number: int, more: int = 1) -> int:
        return inner(number) * FACTOR + more

    return outer


def fixed(word: str) -> Callable[[object], bytes]:
    def upper() -> str:
        return word.upper()

    def render(_result: object) -> bytes:
        return upper().encode()

    return render


def compiled() -> Callable[[], int]:
    """Return a function whose code is in no module."""
    names: dict[str, Callable[[], Callable[[], int]]] = {"__name__": __name__}  # type: ignore[dict-item]
    exec("def make():\n    return lambda: 1", names)  # noqa: S102 - of this test.
    return names["make"]()


def needing(unsendable: object) -> Callable[[object], bytes]:
    return lambda _result: repr(unsendable).encode()
