"""The card as a page: whole in one file, and harmless whatever is in the artifact."""

import base64
import re

from aias.cli.page import page

DRAWN = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def test_plots_are_pictures_within_the_page() -> None:
    written = page(
        "# m\n\n![ROC curve](plots/roc.svg)\n![Calibration](plots/x.svg)\n", {"plots/roc.svg": DRAWN}, version="m@1"
    )

    sources = re.findall(r'<img src="([^"]*)"', written)
    assert sources == ["data:image/svg+xml;base64," + base64.b64encode(DRAWN).decode(), ""]
    assert '<p class="plots">' in written
    assert "<script" not in written


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    card = (
        "# m\n\n<script>alert(1)</script> ![x](http://evil/x.png) [y](javascript:alert(1)) "
        "<img src=x onerror=alert(1)>\n\n"
        "| a |\n| --- |\n| <b onmouseover=alert(1)> |\n"
    )
    written = page(card, {}, version="</title><script>alert(2)</script>")

    assert not re.search(r"<(script|b|a|iframe|link)\b", written)
    assert not re.search(r'(src|href)="(?!")', written)
    assert "default-src 'none'" in written
    assert '<div class="wide"><table>' in written
