"""`tfs inspect --html` in a real browser: what it shows, and that the graph can be walked through."""

import re
import shutil
import subprocess
from html import unescape

import pytest

from tfs.savedmodel.protos import graph_pb2

_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_in_a_browser = pytest.mark.skipif(_BROWSER is None, reason="no Chromium here (apt-get install chromium)")


def _dom(page, where="", script=""):
    """The DOM after the page's own script, and then `script`, have run."""
    copy = page.with_name("opened.html")
    # Once for the page to settle, once for what the clicks lead to.
    late = f"setTimeout(() => {{ {script} }}, 50)"
    copy.write_text(page.read_text().replace("</body>", f"<script>{late}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    command = [_BROWSER, *flags, f"--user-data-dir={page.parent / 'profile'}", f"file://{copy}{where}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return unescape(done.stdout)


def _boxes(dom):
    """The boxes of the picture: their classes by label."""
    found = re.findall(r'<g class="(item [^"]*)"[^>]*aria-label="([^"]*)"', dom)
    return {label: kinds for kinds, label in found}


@pytest.fixture(scope="module")
def page(tfs, exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    done = tfs("inspect", exported, "--html", folder / "page.html")
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "page.html"


def test_the_page_needs_nothing_else(page):
    text = page.read_text()
    assert text.count("<html") == 1
    assert not re.search(r"""(src|href)=["']""", text)
    assert "https:" not in text
    for shown in ("serving_default", "float32 [?, 8, 8, 1]", "words", "<summary>curl</summary>", "Conv2D", "digits"):
        assert shown in text
    # The curl line of a signature is that of --request.
    assert "curl -s" in text


def test_the_treemap_has_the_variables_by_size(page):
    boxes = re.findall(r'width:([\d.]+)%;height:([\d.]+)%[^>]*title="([^:]*): ([^,]*), ([\d.]+)%"', page.read_text())
    kernels = {name: (float(width) * float(height), part) for width, height, name, _, part in boxes}
    [dense] = [name for name in kernels if name.endswith("scores/kernel")]
    area, part = kernels[dense]
    assert area == max(area for area, _ in kernels.values())
    assert area / 100 == pytest.approx(float(part), abs=0.2)


@_in_a_browser
def test_functions_are_collapsed_and_open_by_a_click(page):
    closed = _boxes(_dom(page))
    calls = [label for label, kinds in closed.items() if "call" in kinds]
    assert calls
    assert not any("Conv2D" in label for label in closed)
    # From the signature's call down to the convolution, always by clicks on what is stacked.
    script = (
        "let steps = 0; const step = () => { if (steps++ > 12) return;"
        "const labels = [...document.querySelectorAll('.item')].map(item => item.getAttribute('aria-label'));"
        "if (labels.some(label => label.includes('Conv2D'))) return;"
        "const open = document.querySelector('.item.group') || document.querySelector('.item.call');"
        "open.dispatchEvent(new MouseEvent('click', {bubbles: true})); setTimeout(step, 60); }; step();"
    )
    opened = _dom(page, script=script)
    assert any("Conv2D" in label for label in _boxes(opened))
    trail = re.sub(r"<[^>]*>", "", re.search(r'<div class="trail">(.*?)</div>', opened)[1])
    assert re.match(r"graph . __inference", trail)


@_in_a_browser
def test_a_node_is_found_by_its_op(page):
    script = (
        "const s = document.querySelector('#graph input[type=search]'); s.value = 'conv2d';"
        "s.dispatchEvent(new Event('input')); document.querySelector('#graph aside li button').click();"
    )
    dom = _dom(page, script=script)
    assert re.search(r'class="item [^"]*chosen"', dom)
    assert any("Conv2D" in label for label in _boxes(dom))


@_in_a_browser
def test_five_thousand_nodes_are_shown_by_their_names(tfs, tmp_path):
    graph = graph_pb2.GraphDef()
    graph.node.add(name="x", op="Placeholder")
    for number in range(5000):
        graph.node.add(name=f"block_{number // 50}/op_{number % 50}", op="Relu", input=[graph.node[-1].name])
    # A loop, as TF 1's while has one.
    graph.node[1].input.append("block_99/op_49")
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    assert tfs("inspect", tmp_path / "graph.pb", "--html", tmp_path / "page.html").returncode == 0
    boxes = _boxes(_dom(tmp_path / "page.html"))
    assert len(boxes) == 101
    assert boxes["block_7, 50 nodes"] == "item group"
    inside = _boxes(_dom(tmp_path / "page.html", "#graph=0:block_7%2F"))
    assert len(inside) == 52
    assert (inside["op_3, Relu"], inside["block_6, elsewhere"]) == ("item node", "item outside")


def test_names_of_a_model_cannot_become_markup(tfs, tmp_path):
    graph = graph_pb2.GraphDef()
    graph.node.add(name="</script><b>x", op="Placeholder")
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    assert tfs("inspect", tmp_path / "graph.pb", "--html", tmp_path / "page.html").returncode == 0
    assert "</script><b>" not in (tmp_path / "page.html").read_text()


def test_what_has_no_page_is_one_line(tfs, exported, tmp_path):
    for arguments, code, words in (
        ([exported, exported, "--html", tmp_path / "p.html"], 2, "--html take one SAVED_MODEL"),
        (["--url", "grpc://h:1/m", "--html", tmp_path / "p.html"], 2, "a server does not tell its graph"),
        ([exported, "--html", tmp_path / "none" / "p.html"], 1, "cannot be written"),
    ):
        done = tfs("inspect", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
        assert words in done.stderr
