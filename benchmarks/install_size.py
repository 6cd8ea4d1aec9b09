"""What `pip install aias` brings: packages and megabytes, beside what the documentation says.

    python benchmarks/install_size.py            print the table, and compare it with docs/install-size.md
    python benchmarks/install_size.py --write    write docs/install-size.md

Exits with 1 when the size has moved by more than a tenth.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "install-size.md"
TOLERANCE: Final = 0.10
COMMAND: Final = "python benchmarks/install_size.py"

_HEAD: Final = """\
# What an installation weighs

What `pip install aias` brings, without extras, on Linux x86-64 and Python {python}: **{packages} packages,
{megabytes:.0f} MB** on disk (without compiled bytecode). pandas, pyarrow, catboost and torch are not among them.
Written by `{command} --write`; CI compares it with what it has installed.

| package | MB |
|---|---:|
"""


def main() -> int:
    sizes = base_install()
    if "--write" in sys.argv:
        PAGE.write_text(page(sizes), encoding="utf-8")
    for name, size_bytes in by_size(sizes):
        print(f"{name:24}{size_bytes / 1e6:8.1f} MB")
    return compared(sizes)


def compared(sizes: dict[str, int]) -> int:
    """Print the ratios to what the page says; 1 when it is no longer true."""
    lines = re.findall(r"^\| (\S+) \| ([\d.]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    known = {name: float(megabytes) for name, megabytes in lines}
    total, expected = sum(sizes.values()) / 1e6, sum(known.values())
    good = [_told("packages", len(sizes), len(known)), _told("megabytes", total, expected)]
    for name in sorted(set(sizes) ^ set(known)):
        print(f"  {name} has {'come' if name in sizes else 'gone'}")
    print(f"({COMMAND})")
    return 0 if all(good) else 1


def _told(metric: str, value: float, baseline: float) -> bool:
    good = abs(value / baseline - 1) <= TOLERANCE
    word = "ok" if good else "MISS"
    print(f"install/{metric}  {value / baseline:.2f} × {baseline:.0f} documented  goal 0.90 to 1.10  {word}")
    return good


def base_install(root: str = "aias") -> dict[str, int]:
    """Bytes of every package that is needed here, without extras; Aias itself is counted as its own sources."""
    sizes: dict[str, int] = {}
    todo = [root]
    while todo:
        name = todo.pop()
        if name in sizes:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed only on other platforms
            continue
        files = [Path(str(each.locate())) for each in found.files or () if each.suffix != ".pyc"]
        sizes[name] = sum(path.stat().st_size for path in files if path.is_file())
        wanted = [Requirement(line) for line in found.requires or ()]
        kept = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
        todo += [re.sub(r"[-_.]+", "-", each.name).lower() for each in kept]
    own = Path(__file__).resolve().parents[1] / "src" / root
    sizes[root] = sum(path.stat().st_size for path in own.rglob("*.py"))
    return sizes


def page(sizes: dict[str, int]) -> str:
    head = _HEAD.format(
        python=f"{sys.version_info.major}.{sys.version_info.minor}", packages=len(sizes),
        megabytes=sum(sizes.values()) / 1e6, command=COMMAND,
    )  # fmt: skip
    return head + "".join(f"| {name} | {size_bytes / 1e6:.1f} |\n" for name, size_bytes in by_size(sizes))


def by_size(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))


if __name__ == "__main__":
    sys.exit(main())
