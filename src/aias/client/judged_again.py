"""Each run in which the same rows certify is one more chance for something worse to pass; so these runs are counted."""

from pathlib import Path
from typing import TYPE_CHECKING

from aias.core.names import digest_of

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.training.parent import Parent


def count_run(folder: Path, model: "Model", first: "Parent", rows: str, *, ending: str) -> tuple[str, int]:
    """What the rows that certify judge runs of; and how many runs, with this one.

    `rows`: the digest of all rows; `first`: the version that was trained on them; `ending`: of the file that counts.
    Versions with the same test part share it, and so do those made of them; reserved folds are a version's own.
    """
    of, judging = model.ref, rows
    if first.manifest.rows.get("test"):
        recipe = first.recipe
        part = f"{rows} {recipe.target} {recipe.split} {recipe.test} {recipe.seed}"
        of, judging = model.version.name, recipe.test_digest or digest_of([part.encode()])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{of}.{judging[-16:]}.{ending}").open("ab") as out:
        out.write(b".")
        return of, out.tell()


def chance_of_one(runs: int) -> str:
    """Per cent, that in one of so many runs something passes that should not, at most."""
    from aias.compress.gate.evidence import RISK

    return f"{100 * (1 - (1 - RISK) ** runs):.0f} %"
