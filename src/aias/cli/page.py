"""The card as one web page: no script, nothing fetched from anywhere, readable on a phone, light or dark.

Plots are pictures within the page. In a picture nothing can run, whoever made the artifact.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

SVG: Final = "data:image/svg+xml;base64,"

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1f2933; --quiet: #5b6670; --paper: #f6f7f9; --sheet: #fff; --edge: #dfe3e8;
  --accent: #2563eb; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --quiet: #9aa4ae; --paper: #0d1117; --sheet: #161b22; --edge: #2f363d; --accent: #6ea8fe; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1020px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 12px; overflow-wrap: anywhere; }
.version { margin: 0; color: var(--quiet); }
h2 { font-size: 18px; margin: 36px 0 10px; padding-top: 14px; border-top: 1px solid var(--edge); }
p, li { max-width: 76ch; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { background: var(--sheet); border: 1px solid var(--edge); border-radius: 8px; padding: 12px 14px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 12px 0; background: var(--sheet); border: 1px solid var(--edge); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 12px; border-top: 1px solid var(--edge); vertical-align: top; }
thead th { color: var(--quiet); font-weight: 600; font-size: 13px; border-top: 0; white-space: nowrap; }
thead:not(:has(th:not(:empty))) { display: none; }
td:last-child:not([style*="right"]), tr:has(td:nth-child(9)) td:not([style*="right"]) { min-width: 17ch; }
td code { overflow-wrap: break-word; }
td[style*="right"], th[style*="right"] { white-space: nowrap; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 14px;
  max-width: none; margin: 14px 0; align-items: start; }
.plots img { width: 100%; max-width: 560px; height: auto; display: block; }
@media (max-width: 600px) { main { padding: 18px 12px 40px; } th, td { padding: 5px 8px; } body { font-size: 14px; } }
"""


def page(card: str, plots: Mapping[str, bytes], *, version: str) -> str:
    """`card` in Markdown; `plots`: the SVG files that it shows, by path; `version`: what the page is called."""
    from markdown_it import MarkdownIt

    written = MarkdownIt("commonmark", {"html": False}).enable("table")
    written.add_render_rule("table_open", _open_table)
    written.add_render_rule("table_close", _close_table)
    tokens = written.parse(card)
    for opened, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline":
            _show(token.children or [], opened, plots)
    body = written.renderer.render(tokens, written.options, {})
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(version)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n<main>\n<p class="version">{html.escape(version)}</p>\n{body}</main>\n</body>\n</html>\n'
    )


def _show(children: Sequence[Any], paragraph: Any, plots: Mapping[str, bytes]) -> None:
    """Pictures from the artifact, and from nowhere else; those that stand alone get a grid of their own."""
    pictures = [each for each in children if each.type == "image"]
    for each in pictures:
        drawn = plots.get(str(each.attrs.get("src", "")))
        each.attrs["src"] = SVG + base64.b64encode(drawn).decode() if drawn is not None else ""
    if pictures and paragraph is not None and all(each.type in {"image", "softbreak"} for each in children):
        paragraph.attrs["class"] = "plots"


def _open_table(_self: Any, _tokens: Any, _place: int, _options: Any, _env: Any) -> str:
    return '<div class="wide"><table>\n'


def _close_table(_self: Any, _tokens: Any, _place: int, _options: Any, _env: Any) -> str:
    return "</table></div>\n"
