"""The page that answers a click: its numbers, in a real browser, are those of the receptive field."""

import base64
import dataclasses
import json
import os
import re
import shutil
import sys
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from gnnseq import receptive_field, synchronous, topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, LSTM
from gnnseq.reach import write_page
from gnnseq.reach.hops import distances
from gnnseq.reach.page import encode

EDGES = torch.tensor([[0, 1, 2, 0, 3, 5, 4], [1, 2, 3, 3, 4, 4, 6]])  # 0 > 1 > 2 > 3, 0 > 3, 3 > 4 < 5, 4 > 6; 7 alone
NAMES = ["<b>a</b>", "</script><script>window.hacked = 1</script>", "it's", '"q"', "$$x^2$$", "{{blob}}", "it's", ""]
N, K = 8, 3


class Stack(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(GCN(3, 3) for _ in range(layers))

    def forward(self, x, edge_index):
        for layer in self.layers:
            x = torch.tanh(layer(x, edge_index))
        return x


class Doubtful(nn.Module):
    """Node 0 depends on node 2 for inputs that never come; every node reads the last two, from most without a path."""

    def forward(self, x, edge_index):
        return x + x[-1:] + x[-2:-1] + torch.cat([nn.functional.relu(x[2:3] - 1e30), torch.zeros_like(x[1:])])


@pytest.fixture(scope="module")
def fields():
    torch.manual_seed(0)
    x = torch.randn(N, 3)
    return {
        "GCN": [receptive_field(Stack(k), x, EDGES) for k in range(1, K + 1)],
        "LSTM, rounds": [receptive_field(LSTM(3, 3), x, synchronous(EDGES, N, k)) for k in range(1, K + 1)],
        "LSTM, sweep": [receptive_field(LSTM(3, 3), x, topological(EDGES, N), influence_nodes=[1, 3, 6])],
        "<i>odd</i>": [receptive_field(Doubtful(), x, EDGES)],
    }


@pytest.fixture(scope="module")
def page(fields, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "new" / "page.html"
    assert write_page(fields, path, names=NAMES, title="<title> & 'more'") == path
    return path


# Without a browser


def test_a_missing_bokeh_is_named_with_the_remedy(fields, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    with pytest.raises(ImportError, match=r"pip install 'gnnseq\[pages\]'"):
        fields["GCN"][0].page(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_whole_and_asks_for_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    own = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert "http" not in own
    assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=", text[: text.index("BEGIN bokeh")])
    assert "<b>a" not in text
    assert "&lt;title&gt; &amp; &#x27;more&#x27;" in own


def test_of_one_field_and_its_default_names(tmp_path, fields):
    path = fields["GCN"][1].page(tmp_path / "page.html", title="Two layers")
    assert about(path)["names"] is None
    assert [network["name"] for network in about(path)["networks"]] == ["the module"]
    before = path.read_bytes()
    assert fields["GCN"][1].page(path, title="Two layers", name="the module").read_bytes() == before  # the same again


def about(path):
    return json.loads(re.search(r'id="data-about">(.*?)</script>', path.read_text(encoding="utf-8"))[1])


def test_influence_of_more_pairs_than_there_is_room_for_is_kept_of_some_nodes(tmp_path, monkeypatch):
    n = 300
    field = receptive_field(LSTM(1, 1), torch.randn(n, 1), topological(path_graph(n).edge_index, n), influence_nodes=1)
    full = dataclasses.replace(field, influence_nodes=np.arange(n), pair_influence=np.tril(np.full((n, n), 0.5)))
    size = {}
    for room in (10**6, 50_000):
        monkeypatch.setattr(encode, "ROOM", room)
        path = write_page({"LSTM": [full] * 3}, tmp_path / f"{room}.html")
        kept = [packed["nodes"][1] for packed in about(path)["networks"][0]["fields"]]
        assert kept == [n] * 3 if room == 10**6 else 50 < kept[0] < 150
        size[room] = path.stat().st_size
    assert size[50_000] < size[10**6] < 2e6  # 135,450 pairs in reach


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: {"networks": {}}, ValueError, "networks is empty"),
        (lambda f: {"networks": {"GCN": []}}, ValueError, r"networks\['GCN'\] is empty"),
        (lambda f: {"networks": f["GCN"]}, TypeError, "networks is a list; expected a dict"),
        (lambda f: {"networks": {"GCN": [1.0]}}, TypeError, "holds a float; expected what receptive_field returns"),
        (lambda f: {"names": NAMES[1:]}, ValueError, "names has 7 entries; expected 8"),
        (lambda f: {"names": "abcdefgh"}, ValueError, "names"),
        (lambda f: {"positions": np.zeros((8, 3))}, ValueError, r"positions has shape \[8, 3\]"),
        (lambda f: {"positions": np.full((8, 2), np.nan)}, ValueError, "positions has NaN"),
        (lambda f: {"networks": f | {"b": other_graph()}}, ValueError, r"networks\['b'\]\[0\] is of another graph"),
    ],
)
def test_what_cannot_be_shown_is_refused(fields, tmp_path, change, error, words):
    given = {"networks": fields, "path": tmp_path / "page.html", **change(fields)}
    with pytest.raises(error, match=words):
        write_page(**given)
    assert list(tmp_path.iterdir()) == []


def other_graph():
    return receptive_field(GCN(1, 1), torch.randn(N, 1), path_graph(N).edge_index)


def test_a_graph_without_nodes_is_refused(tmp_path):
    empty = receptive_field(GCN(1, 1), torch.randn(0, 1), torch.empty(2, 0, dtype=torch.int64))
    with pytest.raises(ValueError, match="0 nodes; expected 1"):
        empty.page(tmp_path / "page.html")


# In a browser


@pytest.fixture(scope="module")
def browser(page):
    chrome = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if chrome is None or chromedriver is None:
        pytest.skip("no Chromium with chromedriver here; Debian: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chrome
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,900"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(chromedriver, env={**os.environ, "no_proxy": "*"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield opened(driver, page)
    finally:
        driver.quit()


def opened(driver, path):
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(path.as_uri())
    WebDriverWait(driver, 60, 0.05).until(lambda d: d.execute_script("return document.body.dataset.ready"))
    return driver


def click_node(driver, panel, node):
    """Where the node is drawn, a real click."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    x, y = driver.execute_script(
        "const p = gnnseqPage, {x, y} = p.range;"
        "return [(p.x[arguments[0]] - x[0]) / (x[1] - x[0]), (p.y[arguments[0]] - y[0]) / (y[1] - y[0])]",
        node,
    )
    plot = driver.find_element(By.ID, f"plot{panel}")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    width, height = plot.size["width"], plot.size["height"]
    ActionChains(driver, 0).move_to_element_with_offset(
        plot, round((x - 0.5) * width), round((0.5 - y) * height)
    ).click().perform()
    wait(driver, lambda: chosen(driver) == node)


def wait(driver, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 10, 0.02).until(lambda _: condition())


def chosen(driver):
    return driver.execute_script("return gnnseqPage.state.node")


def press(driver, place, *keys):
    from selenium.webdriver.common.by import By

    element = driver.find_element(By.CSS_SELECTOR, place)
    driver.execute_script("arguments[0].focus()", element)
    element.send_keys(*keys)


def shown(driver):
    """The table's cells by network and hop: how many inputs, of how many, and their mean influence."""
    cells = driver.execute_script(
        "return [...document.querySelectorAll('#hops td')].map(c => ({...c.dataset, text: c.textContent}))"
    )
    return {(cell["network"], int(cell["hop"])): cell for cell in cells}


def captions(driver):
    return driver.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.panel')].map(p =>"
        " [p.dataset.network, [p.querySelector('h2').textContent, p.querySelector('.caption').textContent]]))"
    )


def expected(field, v):
    """Inputs in reach, all inputs and their mean influence at each distance, from the field's arrays alone."""
    reach = field.reach[[v]].toarray()[0]
    away = distances(field.edges, np.array([v]))[0]
    either = distances(field.edges + field.edges.T, np.array([v]))[0]
    away = np.where(reach & (away < 0), either, away)
    if v in field.influence_nodes:
        norms = field.pair_influence[list(field.influence_nodes).index(v)]
        means = {d: norms[away == d].mean() for d in range(away.max() + 1) if (away == d).any()}
    else:
        means = dict(enumerate(field.influence)) | dict.fromkeys(range(len(field.influence), away.max() + 1), 0.0)
    return {
        d: (int((reach & (away == d)).sum()), int((away == d).sum()), means.get(d, np.nan))
        for d in range(away.max() + 1)
    }


def assert_numbers(driver, fields, v, depth):
    cells, heads = shown(driver), captions(driver)
    for name, group in fields.items():
        field = group[min(depth, len(group)) - 1]
        for d, (within, of, mean) in expected(field, v).items():
            if (name, d) not in cells:  # the table ends with the farthest reach
                assert within == 0
                continue
            cell = cells[name, d]
            assert (int(cell["within"]), int(cell["all"])) == (within, of), (name, v, depth, d)
            assert float(cell["influence"]) == pytest.approx(mean, rel=1e-5, nan_ok=True), (name, v, depth, d)
            assert cell["text"].startswith(f"{within} of {of}" if of else "\u2013")
        reached, far = field.reach[[v]].nnz, int(field.hops[v])
        assert heads[name][1].startswith(f"{reached} of {N} inputs"), heads[name]
        assert far < 0 or f"farthest {far} hop" in heads[name][1]
        assert heads[name][0] == (f"{name}, k = {min(depth, len(group))}" if len(group) > 1 else name)


def test_click_slide_and_read_the_numbers(browser, fields):
    for panel, node in enumerate((4, 6, 3, 0)):
        click_node(browser, panel, node)
        for key, depth in (("\ue011", 1), ("\ue014", 2), ("\ue010", K)):  # Home, arrow to the right, End
            press(browser, "#depth", key)
            assert_numbers(browser, fields, node, depth)


def test_every_pair_is_as_measured(browser, fields):
    """Reach, doubt, distance and influence of all pairs, as the page's script unpacks them."""
    for i, (name, group) in enumerate(fields.items()):
        for k, field in enumerate(group):
            rows = browser.execute_script(
                "const f = gnnseqPage.fields, field = f.about.networks[arguments[0]].fields[arguments[1]];"
                "return Array.from({length: f.nodes}, (_, v) => {const r = f.row(field, v);"
                " const each = r.each && [...r.each].map(x => x > -Infinity ? x : null);"
                " return [[...r.status], each, r.inDoubt, r.unconnected]})",
                i, k,
            )  # fmt: skip
            status = np.array([row[0] for row in rows])
            np.testing.assert_array_equal(status == 1, field.reach.toarray(), err_msg=name)
            np.testing.assert_array_equal(
                status == 2, (field.possible.toarray() & ~field.reach.toarray()), err_msg=name
            )
            assert sum(row[2] for row in rows) == field.possible.nnz - field.reach.nnz
            assert sum(row[3] for row in rows) == field.unconnected
            assert [v for v, row in enumerate(rows) if row[1] is not None] == field.influence_nodes.tolist()
            for norms, v in zip(field.pair_influence, field.influence_nodes, strict=True):
                logs = np.array([np.nan if log is None else log for log in rows[v][1]])
                want = np.where(field.reach[[v]].toarray()[0], norms, 0)
                np.testing.assert_array_equal(np.isnan(logs), want == 0)
                with np.errstate(divide="ignore"):
                    step = (np.log10(want).max() - np.log10(norms[norms > 0]).min()) / 254 + 0.05
                    np.testing.assert_allclose(logs[want > 0], np.log10(want[want > 0]), atol=step)
    odd = fields["<i>odd</i>"][0]  # the cases are there
    assert odd.unconnected > 0
    assert (odd.reach.toarray() & (distances(odd.edges, np.arange(N)) < 0)).sum() > odd.unconnected
    assert odd.possible.nnz > odd.reach.nnz


def place(driver, axis):
    return driver.execute_script(f"return gnnseqPage.{axis}[gnnseqPage.state.node]")


def test_keys_move_the_output_and_the_slider(browser):
    moved = []
    press(browser, "#plot0", "\ue011")
    assert chosen(browser) == 0
    press(browser, "#plot1", "\ue00f", "\ue00f")  # Page Down
    assert chosen(browser) == 2
    press(browser, "#plot0", "\ue010")
    assert chosen(browser) == N - 1
    press(browser, "#plot0", "\ue00e")  # Page Up
    for key, axis, sign in (("\ue012", "x", -1), ("\ue014", "x", 1), ("\ue013", "y", 1), ("\ue015", "y", -1)):  # arrows
        before = place(browser, axis)
        press(browser, "#plot0", key)
        assert sign * (place(browser, axis) - before) >= 0
        moved.append(place(browser, axis) != before)
    assert sum(moved) >= 2
    press(browser, "#plot2", "[")
    assert "k = 2" in browser.execute_script("return document.querySelector('#status').textContent")
    press(browser, "#plot2", "]")
    order = browser.execute_script(
        "return [...document.querySelectorAll('input, button, select, [tabindex], summary')]"
        ".filter(e => !e.hidden && e.tabIndex >= 0).map(e => e.id)"
    )
    assert {"node", "depth", "theme", "plot0", "plot3"} <= set(order)


def test_a_node_is_found_by_name_and_names_are_text(browser):
    for name, node in ((NAMES[1], 1), (NAMES[0], 0), ("it's #6", 6)):
        browser.execute_script(
            "const box = document.querySelector('#node'); box.value = arguments[0];"
            "box.dispatchEvent(new Event('change'))", name,
        )  # fmt: skip
        assert chosen(browser) == node
        assert name in browser.execute_script("return document.querySelector('#status').textContent")
    assert browser.execute_script("return window.hacked") is None
    assert browser.execute_script("return document.querySelectorAll('#status b, h2 i, th i, h1 *').length") == 0
    browser.execute_script(
        "const box = document.querySelector('#node'); box.value = 'nobody'; box.dispatchEvent(new Event('change'))"
    )
    assert "No node is called nobody" in browser.execute_script("return document.querySelector('#status').textContent")


def test_light_and_dark(browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    def look():
        return browser.execute_script(
            "return [getComputedStyle(document.body).backgroundColor,"
            " gnnseqPage.panels[0].models.labels.glyph.text_color.value]"
        )

    light = look()
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    wait(browser, lambda: look() != light)
    dark = look()
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    theme = Select(browser.find_element(By.ID, "theme"))
    theme.select_by_visible_text("light")
    wait(browser, lambda: look() == light)
    theme.select_by_visible_text("system")
    wait(browser, lambda: look() == dark)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_colours_are_in_order_of_luminance_and_influence_colours_too(browser):
    for dark in (False, True):
        ramp = browser.execute_script("return ramp(arguments[0])", dark)
        rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in ramp]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        change = np.diff(linear @ [0.2126, 0.7152, 0.0722])
        assert (change <= 0).all() if dark else (change >= 0).all()
    click_node(browser, 0, 4)
    by_hops = browser.execute_script("return gnnseqPage.panels[0].models.inside.data_source.data.level")
    browser.execute_script("document.querySelector('[value=influence]').click()")
    levels = browser.execute_script("return gnnseqPage.panels[0].models.inside.data_source.data.level")
    assert levels != by_hops
    browser.execute_script("document.querySelector('[value=hops]').click()")


def test_nothing_was_asked_of_a_network_and_nothing_went_wrong(browser, page):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {page.as_uri()}
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []


def test_one_field_slides_through_hops_on_a_phone(browser, fields, tmp_path):
    field = fields["LSTM, sweep"][0]
    browser.set_window_size(500, 844)  # as narrow as a window gets
    opened(browser, field.page(tmp_path / "page.html", name="LSTM"))
    wide, room = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room
    click_node(browser, 0, 6)
    assert browser.execute_script("return gnnseqPage.panels[0].models.inside.data_source.data.x.length") == 6
    press(browser, "#depth", "\ue011", "\ue014")
    assert browser.execute_script("return gnnseqPage.panels[0].models.inside.data_source.data.x.length") == 1
    assert float(shown(browser)["LSTM", 0]["influence"]) == pytest.approx(expected(field, 6)[0][2], rel=1e-5)


def test_what_is_packed_is_the_means_of_the_field(fields, page):
    """The mean over all measured outputs, read without a browser."""
    text = page.read_text(encoding="utf-8")
    blob = zlib.decompress(base64.b64decode(re.search(r'id="data-blob">(.*?)</script>', text)[1]))
    for network, group in zip(about(page)["networks"], fields.values(), strict=True):
        for packed, field in zip(network["fields"], group, strict=True):
            begin, size, kind = packed["mean"]
            assert kind == "Float32"
            means = 10.0 ** np.frombuffer(blob, "<f4", size, begin).astype(float)
            np.testing.assert_allclose(means, field.influence, rtol=1e-5)
            assert packed["pairs"] == field.reach.nnz
