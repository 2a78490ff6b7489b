"""What the site is made of: links as it needs them, a picture for each flow chart, a page for each room."""

import html
import re

import pytest

from docs.site.charts import blocks, read_chart
from docs.site.hooks import CHARTS, ROOT, api_pages, chart_file, with_charts, with_site_links
from tests.docs.pages import BLOCKS, PAGES
from tombola import __all__ as PUBLIC_NAMES


@pytest.mark.parametrize(
    ("path", "markdown", "there"),
    [
        ("README.md", "[a](docs/h5ad.md#b) `[a](c)` [d](#e)", "[a](h5ad.md#b) `[a](c)` [d](#e)"),
        ("docs/h5ad.md", "[a](../CHANGELOG.md) [b](c.png)", "[a](changelog.md) [b](c.png)"),
        ("docs/glossary.md", "[a](../cpp/README.md#x)", "[a](core.md#x)"),
        ("cpp/README.md", "[a](../docs/architecture.md)", "[a](architecture.md)"),
        ("docs/h5ad.md", "```python notest\n[a](b.md)\n```", "```python\n[a](b.md)\n```"),
        ("README.md", "[a](https://example.org/b)", "[a](https://example.org/b)"),
    ],
)
def test_links_lead_to_places_in_the_site(path: str, markdown: str, there: str) -> None:
    assert with_site_links(markdown, path) == there


def test_every_flow_chart_has_its_picture_and_no_picture_is_left_over() -> None:
    found = blocks()
    assert found == [block.text for _, block in BLOCKS if block.language == "mermaid"]
    files = {chart_file(block) for block in found}
    assert files == set(CHARTS.iterdir()), "draw them anew: python -m docs.site.charts"
    for block in found:
        picture = html.unescape(chart_file(block).read_text(encoding="utf-8"))
        chart = read_chart(block)
        texts = {line for text, _ in chart.nodes.values() for line in text.split("<br>")}
        assert {line for line in texts if f">{line}</text>" not in picture} == set()
        assert picture.count('class="edge"') == len(chart.arrows)


def test_a_page_shows_the_picture() -> None:
    shown = with_charts(PAGES["docs/choosing.md"])
    assert "```mermaid" not in shown
    assert re.search(r'^<div class="chart"><svg ', shown, re.MULTILINE)
    assert "\n\n" not in shown[shown.index("<svg") : shown.index("</svg>")]


def test_what_a_chart_says() -> None:
    chart = read_chart('flowchart TD\n    a(["A?"]) -- "no" --> b["B<br>C"] --> c\n    c{"D"}\n')
    assert chart.nodes["a"] == ("A?", "box, style=rounded")
    assert [text for text, _ in chart.nodes.values()] == ["A?", "B<br>C", "D"]
    assert chart.arrows == [("a", "b", "no"), ("b", "c", "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph LR", "a chart must begin with 'flowchart TD', but begins with 'graph LR'"),
        (
            'flowchart TD\na["A"] -.-> b["B"]',
            'this line of a chart is not understood: \'a["A"] -.-> b["B"]\'',
        ),
        ('flowchart TD\na["A"] --> ', "this line of a chart is not understood: 'a[\"A\"] -->'"),
        ('flowchart TD\na["A"] --> b', "these nodes of a chart have no text: b"),
    ],
)
def test_wrong_charts(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_chart(text)


def test_the_reference_has_every_public_name_and_the_navigation_every_page() -> None:
    pages = api_pages((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    named = re.findall(r"^::: tombola\.(\w+)$", "\n".join(pages.values()), re.MULTILINE)
    assert sorted(named) == sorted([*PUBLIC_NAMES, "DataLoader"])
    navigation = (ROOT / "docs" / "site" / "mkdocs.yml").read_text(encoding="utf-8")
    assert {page for page in pages if f"- {page}\n" not in navigation} == set()
