"""A table of words and figures that are ready to be shown, on a terminal or on a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        head: heading of each column.
        rows: cells, as many as columns.
        words: columns, from the first, that hold words and not figures.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1

    def text(self) -> str:
        """Return it for a terminal: words to the left, figures to the right."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        return "\n".join(
            "  ".join(
                part.ljust(width) if column < self.words else part.rjust(width)
                for column, (part, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def html(self) -> str:
        """Return it for the page."""
        head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in self.head)
        body = "".join(
            "<tr>"
            + "".join(
                f"<th scope=row>{escape(cell)}</th>" if column < self.words else f"<td>{escape(cell)}</td>"
                for column, cell in enumerate(row)
            )
            + "</tr>"
            for row in self.rows
        )
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def number(value: float, digits: int) -> str:
    """Return a figure with so many digits; "-" where it is not known, no sign before a zero."""
    if not math.isfinite(value):
        return "-"
    shown = f"{value:.{digits}f}"
    return shown.lstrip("-") if not shown.strip("-0.") else shown
