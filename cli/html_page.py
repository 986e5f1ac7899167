"""HTML pages that need nothing else: one style for all of them, tables, bars; light and dark."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from tfs.savedmodel.errors import TfsError

__all__ = ["bars", "table", "write_html"]

_STYLE = Path(__file__).with_name("html_page.css")


def write_html(file: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page with these parts, which are HTML, below its title.

    Raises:
        TfsError: the file cannot be written.
    """
    head = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    try:
        file.write_text("\n".join([*head, *parts, "</body></html>"]) + "\n", encoding="utf-8")
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of plain texts; without titles it has no head."""
    cells = "".join(f"<th>{escape(title)}</th>" for title in titles)
    head = f"<thead><tr>{cells}</tr></thead>" if cells else ""
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def bars(title: str, series: Mapping[str, Mapping[str, int]]) -> str:
    """Return a histogram: a row for each key of the series, the largest first, with a bar for each of them.

    Args:
        title: what the keys are.
        series: by name, which is the CSS class of its bars too, how often each key occurs.
    """
    keys = sorted({key for counts in series.values() for key in counts}, key=lambda key: (-_most(series, key), key))
    most = max((_most(series, key) for key in keys), default=1)
    rows = []
    for key in keys:
        counts = [values.get(key, 0) for values in series.values()]
        drawn = "".join(
            f'<div class="bar {escape(name)}" style="width:{100 * count / most:.2f}%"></div>'
            for name, count in zip(series, counts, strict=True)
        )
        numbers = "".join(f'<td class="number">{count:,}</td>' for count in counts)
        rows.append(f'<tr><td>{escape(key)}</td>{numbers}<td class="bars">{drawn}</td></tr>')
    heads = "".join(f"<th>{escape(name)}</th>" for name in (title, *series))
    head, body = f"<thead><tr>{heads}<th></th></tr></thead>", "\n".join(rows)
    return f'<div class="wide"><table class="histogram">{head}<tbody>\n{body}\n</tbody></table></div>'


def _most(series: Mapping[str, Mapping[str, int]], key: str) -> int:
    return max(counts.get(key, 0) for counts in series.values())
