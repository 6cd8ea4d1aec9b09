"""Each run in which the same rows certify is one more chance for something worse to pass; so these runs are counted."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aias.core.events import Event, Watch
from aias.core.names import digest_of

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.training.parent import Parent


def counted(
    folder: Path, model: "Model", first: "Parent", rows: str, *, verb: str, passes: str, watch: Watch
) -> Callable[[], int]:
    """To be called before the rows that certify are opened, so that no run looks at them uncounted: gives how many runs
    have judged by them, with this one, and warns from the second on. `passes`: what should not, and may.

    `rows`: the digest of all rows; `first`: the version that was trained on them. Whatever is compressed or optimised
    with the same test part shares it, whatever its name; reserved folds are a version's own.
    """
    recipe = first.recipe
    name = f"{model.ref}.{rows[-16:]}.runs"
    if first.manifest.rows.get("test"):
        part = f"{rows} {recipe.target} {recipe.split} {recipe.test} {recipe.seed}"
        name = f"test.{(recipe.test_digest or digest_of([part.encode()]))[-16:]}.runs"

    def count() -> int:
        from aias.compress.gate.evidence import chance_of_one

        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("ab") as out:
            out.write(b".")
            runs = out.tell()
        if runs > 1:
            said = f"the rows that certify have judged {runs} runs: in one of so many {passes} {chance_of_one(runs)}"
            watch(Event(f"{verb}.judged-again", said, "warning", {"runs": runs}))
        return runs

    return count
