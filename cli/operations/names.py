"""Names of operations and fields on the command line."""


def kebab_case(name: str) -> str:
    """Return a camelCase or snake_case name in kebab-case."""
    words = "".join(f"-{one.lower()}" if one.isupper() else one for one in name)
    return words.replace("_", "-").lstrip("-")
