"""`tfs inspect --html`: a version as one page with its signatures, sizes, ops, and its graph to walk through."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tfs.cli.html_page import bars, table, write_html
from tfs.cli.signature_view import readable_size, shape_text
from tfs.cli.treemap import Rectangle, squarify

if TYPE_CHECKING:
    from tfs.savedmodel.description import Description
    from tfs.savedmodel.graph_outline import Outline
    from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["write_page"]

_FOLDER = Path(__file__).parent
_MOST_RECTANGLES = 400  # smaller ones could not be told apart
_LABELLED = (9.0, 4.0)  # per cent of width and height from which a rectangle has room for its name
_ASPECT = 2.5  # width over height of the treemap, as in the style


def write_page(
    file: Path,
    description: "Description",
    *,
    facts: Iterable[tuple[str, str]],
    outline: "Outline",
    constants: Mapping[str, int],
    samples: Mapping[str, str],
) -> None:
    """Write the page.

    Args:
        file: where it is written to.
        description: of the version or frozen graph.
        facts: names and values about all of it.
        outline: of its graph.
        constants: bytes of each constant.
        samples: by signature, a command that calls it.

    Raises:
        TfsError: the file cannot be written.
    """
    sizes = {**{variable.name: variable.size for variable in description.variables}, **constants}
    sizes |= {f"assets/{name}": size for name, size in description.assets.items()}
    parts = [
        f"<style>\n{(_FOLDER / 'inspect_page.css').read_text(encoding='utf-8')}</style>",
        *(f'<p class="problem">{escape(problem)}</p>' for problem in description.problems),
        table((), facts),
        "<h2>Signatures</h2>",
        _cards(description.signatures.values(), samples),
        "<h2>Sizes</h2>",
        _treemap(sizes),
        "<h2>Graph</h2>",
        _graph(description, outline),
        "<h2>Ops</h2>",
        bars("op", {"count": description.ops}),
        *_denied(description),
    ]
    write_html(file, f"tfs inspect {description.path}", parts)


def _cards(signatures: "Iterable[Signature]", samples: Mapping[str, str]) -> str:
    cards = []
    for signature in signatures:
        tensors = [
            f'<dt>{way}</dt><dd><b>{escape(alias)}</b> <span class="mono soft">{_tensor(info)}</span></dd>'
            for way, infos in (("in", signature.inputs), ("out", signature.outputs))
            for alias, info in infos.items()
        ]
        method = escape(signature.method_name.rpartition("/")[2] or "no method")
        sample = samples.get(signature.name)
        shown = f"<details><summary>curl</summary><pre>{escape(sample)}</pre></details>" if sample else ""
        cards.append(
            f'<div class="card"><h3>{escape(signature.name)} <span class="chip">{method}</span></h3>'
            f"<dl>{''.join(tensors)}</dl>{shown}</div>"
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _tensor(info: "TensorInfo") -> str:
    return escape(f"{info.dtype} {shape_text(info.shape)}")


def _treemap(sizes: Mapping[str, int]) -> str:
    """Draw variables, constants and assets by size; those below one name have one colour and stand together."""
    largest = sorted(((size, name) for name, size in sizes.items() if size > 0), reverse=True)
    shown, rest = largest[:_MOST_RECTANGLES], largest[_MOST_RECTANGLES:]
    if rest:
        shown.append((sum(size for size, _ in rest), f"{len(rest):,} smaller ones"))
    if not shown:
        return '<p class="soft">There is nothing of any size.</p>'
    groups: dict[str, list[tuple[int, str]]] = {}
    for size, name in shown:
        groups.setdefault(name.rpartition("/")[0], []).append((size, name))
    ordered = sorted(groups.values(), key=lambda group: -sum(size for size, _ in group))
    rooms = squarify([sum(size for size, _ in group) for group in ordered], Rectangle(0, 0, 100 * _ASPECT, 100))
    boxes = []
    total = sum(size for size, _ in shown)
    for number, (group, room) in enumerate(zip(ordered, rooms, strict=True)):
        hue = number * 137 % 360  # the golden angle: neighbours differ
        group.sort(reverse=True)
        for (size, name), at in zip(group, squarify([size for size, _ in group], room), strict=True):
            boxes.append(_rectangle(name, size, size / total, at, hue))
    legend = f"{readable_size(total)} in {len(largest):,} variables, constants and assets"
    return f'<p class="soft">{legend}</p><div class="treemap">{"".join(boxes)}</div>'


def _rectangle(name: str, size: int, part: float, at: Rectangle, hue: int) -> str:
    left, width = at.left / _ASPECT, at.width / _ASPECT
    place = f"left:{left:.3f}%;top:{at.top:.3f}%;width:{width:.3f}%;height:{at.height:.3f}%;--hue:{hue}"
    title = escape(f"{name}: {readable_size(size)}, {part:.1%}", quote=True)
    room = width >= _LABELLED[0] and at.height >= _LABELLED[1]
    text = f"{escape(name)}<br><small>{readable_size(size)}</small>" if room else ""
    return f'<div style="{place}" title="{title}">{text}</div>'


def _graph(description: "Description", outline: "Outline") -> str:
    script = (_FOLDER / "inspect_page.js").read_text(encoding="utf-8")
    # Within a script element only this could end it early.
    content = json.dumps(_graph_data(description, outline), separators=(",", ":")).replace("</", "<\\/")
    return f"""<div id="graph">
<div class="tools">
<select aria-label="graph or function"></select>
<input type="search" placeholder="find a node or op" aria-label="find a node or op">
<label><input type="checkbox" id="weights"> constants and variables</label>
<span class="space"></span>
<button type="button" id="farther" aria-label="zoom out">&minus;</button>
<button type="button" id="closer" aria-label="zoom in">+</button>
<button type="button" id="fit">fit</button>
</div>
<div class="trail"></div>
<div class="stage"><svg role="group" aria-label="graph"></svg><aside></aside></div>
</div>
<script type="application/json" id="graph-data">{content}</script>
<script>
{script}</script>"""


def _graph_data(description: "Description", outline: "Outline") -> dict[str, object]:
    ops = sorted({node.op for scope in outline.scopes for node in scope.nodes})
    numbers = {op: number for number, op in enumerate(ops)}
    scopes = [
        {
            "name": scope.name,
            "nodes": [[node.name, numbers[node.op], node.inputs, node.controls, node.calls] for node in scope.nodes],
        }
        for scope in outline.scopes
    ]
    return {
        "ops": ops,
        "scopes": scopes,
        "denied": [(found.function, found.node) for found in description.denied_ops],
    }


def _denied(description: "Description") -> Sequence[str]:
    if not description.denied_ops:
        return []
    rows = ((found.op, found.node, found.function, found.reason) for found in description.denied_ops)
    return ["<h2>Denied ops</h2>", table(("op", "node", "in function", "reason"), rows)]
