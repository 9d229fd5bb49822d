"""Make plain text from HTML by removing its tags, for messages without a text part.

The result is for reading only. It is no sanitised HTML. Time is linear for any input.
"""

import html
import re

TAG = re.compile(r"<(/?)([a-zA-Z!?][a-zA-Z0-9]*)?[^<>]*>")
HIDDEN = frozenset({"script", "style", "head", "title", "template"})
BLOCKS = frozenset(
    {"address", "article", "blockquote", "br", "div", "dl", "dt", "figure", "footer", "form"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section"}
    | {"table", "td", "th", "tr", "ul"}
)
# Longer numbers are no characters: int() rejects them.
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7}(?![0-9])|#[xX][0-9a-fA-F]{1,6}(?![0-9a-fA-F])|[a-zA-Z][a-zA-Z0-9]{1,31});?"
)
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_BLANK_LINES = re.compile(r"\n[ \n]*\n")


def html_to_text(source: str) -> str:
    """Return the visible text; elements that begin a line begin a new line."""
    pieces: list[str] = []
    hidden: str | None = None
    end = 0
    for tag in TAG.finditer(source):
        name = (tag[2] or "").lower()
        if hidden is None:
            pieces.append(_visible(source[end : tag.start()]))
            if name in BLOCKS:
                pieces.append("\n")
            elif name in HIDDEN and not tag[1]:
                hidden = name
        elif tag[1] and name == hidden:
            hidden = None
        end = tag.end()
    if hidden is None:
        pieces.append(_visible(source[end:]))
    lines = (line.strip(" ") for line in "".join(pieces).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def _visible(text: str) -> str:
    return _SPACES.sub(" ", _REFERENCE.sub(lambda found: html.unescape(found[0]), text))
