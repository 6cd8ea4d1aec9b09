"""The reference pages say what the code says; links lead somewhere; what exists is written about."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from aias.artifact.manifest import Candidate, EncoderEntry, FileEntry, Lineage, Manifest, Parity
from aias.core.catalog import member, members
from aias.core.task import METRICS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def test_the_reference_is_what_the_code_would_write_today() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text("utf-8"))
    named = [(page.parent / path if path else page, anchor) for path, anchor in targets]

    assert not [anchor for to, anchor in named if to.suffix == ".md" and anchor not in anchors(to)]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


def test_every_page_can_be_reached_from_the_start() -> None:
    reached: set[Path] = set()
    todo = [DOCS / "start.md", ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        todo += [page.parent / link for link in re.findall(r"\]\((?!https?:)([^)#]+\.md)", page.read_text("utf-8"))]

    assert not {page.resolve() for page in PAGES} - reached


@pytest.mark.parametrize("name", members("encoders"))
def test_every_encoder_has_its_specification(name: str) -> None:
    version = member("encoders", name).version
    assert re.search(rf"^## {name}, version {version}$", (DOCS / "encoders.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", [*METRICS, *members("learners")])
def test_every_metric_and_learner_is_written_about(name: str) -> None:
    assert f"`{name}`" in (DOCS / "how-to" / "train.md").read_text("utf-8")


@pytest.mark.parametrize("name", members("compress.techniques"))
def test_every_technique_is_written_about(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "techniques.md").read_text("utf-8")


@pytest.mark.parametrize("kind", [Manifest, Candidate, FileEntry, EncoderEntry, Lineage, Parity])
def test_every_key_of_a_manifest_is_written_about(kind: type) -> None:
    told = (DOCS / "artifact.md").read_text("utf-8").partition("## The manifest")[2].partition("\n## ")[0]
    assert not [each.name for each in fields(kind) if f"`{each.name}`" not in told]


def test_every_reason_that_a_server_counts_is_written_about_and_no_other() -> None:
    said = "".join(path.read_text("utf-8") for path in sorted((ROOT / "src/aias/serving").rglob("*.py")))
    counted = set(re.findall(r'"(serving\.[a-z-]+)"', said)) - {"serving.protocols"}
    named = {each for page in PAGES for each in re.findall(r"`(serving\.[\w.-]+)`", page.read_text("utf-8"))}

    assert counted == named - {"serving.py"}
