"""`Model.compress`: a published version → a smaller or faster one, proved to lose no more than was allowed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Stop
from typing import TYPE_CHECKING, Any, Final

from aias.client.judged_again import counted
from aias.client.served import as_served
from aias.core.atomic_files import write_atomically
from aias.core.deadline import Deadline
from aias.core.errors import Damaged, NotFound, UserError
from aias.core.events import Event, Watch, logged, nobody
from aias.core.names import listed
from aias.core.quantities import accepted_loss_of, bytes_of, latency_of, seconds_of
from aias.core.schema import Schema, SchemaMismatch
from aias.core.settings import WORK

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.compress.frontier import Frontier
    from aias.training.parent import Parent

KEPT: Final = "cache/compress"
"""Folder of the home for the results of a run that was killed: a cache, which may be deleted."""

FRONTIERS: Final = "frontiers"
"""Folder of the home for the last frontier of each version; one that measured less does not replace it."""


@dataclass(frozen=True, slots=True, repr=False)
class Compressed:
    """`model`: the new version, or the old one if none was worth it; `frontier.verdict` says why."""

    model: "Model"
    better: bool
    frontier: "Frontier"

    def __repr__(self) -> str:
        return f"<Compressed {self.model.ref}: {self.frontier.verdict}>"


def compress(
    self: "Model", *, max_loss: float | str = "0.5%", latency: float | str | None = None, size: int | str | None = None,
    time: float | str = 60.0, data: Any = None, test: Any = None, split: str | None = None, unlabelled: Any = None,
    encoding: str | None = None, callers: int = 4, techniques: Sequence[str] = (), inline: bool = False,
    stop: Stop | None = None, watch: Watch = logged,
) -> Compressed:  # fmt: skip
    """Search for a smaller and faster form, and publish one that is proved to lose no more than `max_loss`.

    - `max_loss`: the loss allowed, as a share of the metric, such as `"0.5%"`
    - `latency`, `size`: upper bounds for one row, and for the graph with its tables, such as `"100us"` and `"5MB"`
    - `techniques`: names of the techniques to try, by default all
    - `unlabelled`: more rows of the same columns for distillation; certification uses labelled rows only
    - `callers`: the number of concurrent callers to time besides the single caller, whose latency decides
    - `data`: the training rows, if they have moved. For an imported version any rows, best those it was not trained on;
      without labels, the share of equal answers is certified
    - `test`: the test rows that were given to `train`, if they have moved or were a table
    - `split`: `"group:<column>"` if rows of `data` belong together, for an imported version; for others the split of
      the training is used
    - `encoding`: of `data`, `test` and `unlabelled`, as in `train`

    Raises `NotFound`, `OtherRows`, `UserError`.
    """
    deadline = Deadline.after(seconds_of(time))
    from aias.client.model import check_trained, publish_one
    from aias.compress.compress import Goals, chosen
    from aias.compress.compress import compress as search
    from aias.data.read import read
    from aias.teaching.seen import remember
    from aias.training.parent import rows_of

    wanted = Goals(
        accepted_loss_of(max_loss), None if latency is None else 1e6 * latency_of(latency),
        None if size is None else bytes_of(size), callers,
    )  # fmt: skip
    techniques = chosen(listed(techniques), seconds=deadline.seconds)
    check_trained(self, "compressed")
    parent, *above = [_parent(each) for each in chain_of(self)]
    trained = above[-1] if above else None
    first = trained or parent
    data, unlabelled, bare = _sorted_out(first, data, unlabelled, encoding, watch=watch)
    split = _split(self, first, split)
    dataset, measured = rows_of(
        first, data, test=test, encoding=encoding, without_labels=bare, split=split, watch=watch
    )  # fmt: skip
    extra = None
    if unlabelled is not None:
        extra = read(unlabelled, schema=Schema(first.manifest.inputs), encoding=encoding, watch=watch)
    parent = replace(parent, runtime=as_served(self, watch=watch))
    outcome = search(
        parent, dataset, wanted, deadline=deadline, test=measured, trained=trained,
        chain=tuple(reversed([parent, *above][:-1])), extra=extra, work=self.registry.home / WORK / self.version.name,
        own=self.registry.home / KEPT / self.ref,
        number=self.version.number, split=split, techniques=techniques, inline=inline, stop=stop, watch=watch,
        opened=counted(
            _place(self).parent, self, first, dataset.digest, verb="compress",
            passes="something that is worse by the margin passes", watch=watch,
        ),
    )  # fmt: skip
    found = publish_one(self.registry, outcome.trained, watch=watch) if outcome.trained else self
    before = _before(self)
    if before is None or not outcome.frontier.says_less(before):
        write_atomically(_place(self), outcome.frontier.as_bytes())
    else:
        said = f"`aias frontier {self.ref}` still shows the run before, which measured more"
        watch(Event("compress.less", said))
    if outcome.trained and not bare:  # it may have learned their answers
        lineage, inputs = found.manifest.lineage, found.manifest.inputs
        remember(dataset, inputs, digest=lineage.dataset, home=self.registry.home)
    return Compressed(found, outcome.trained is not None, outcome.frontier)


def chain_of(model: "Model") -> list["Model"]:
    """A version and, if it is compressed, its ancestors up to the one that was trained or imported.

    Raises `UserError` if one of them was removed.
    """
    from aias.client.model import Model

    found = [model]
    while found[-1].manifest.form == "compressed":
        last = found[-1]
        above = [
            each for known in last.registry.lineage(last.version.ref) if known.steps == 1 for each in known.versions
        ]
        if not above:
            raise UserError(
                f"{last.ref} is compressed, and what it was made from is not here any more: how it answers rows that "
                "it was not fitted on cannot be found out",
                hint="train again, and compress that",
            )
        found.append(Model(last.registry, above[0]))
    return found


def _split(model: "Model", first: "Parent", asked: str | None) -> str:
    """The split that was asked for, or that of the version. Raises `UserError`."""
    if asked is not None and not first.imported:
        raise UserError(
            f"the rows of {first.ref} are parted as they were when it was trained: by {first.recipe.split}",
            hint=f"train again with another split (`--split {asked}`, or `split=`)",
        )
    proof = model.manifest.lineage.settings.get("proof")
    known = proof.get("split", "random") if isinstance(proof, dict) else "random"
    return asked or str(known)


def _parent(model: "Model") -> "Parent":
    from aias.training.parent import Parent

    return Parent(model.ref, model.manifest, model.runtime, model.folder)


def _sorted_out(
    first: "Parent", data: Any, unlabelled: Any, encoding: str | None, *, watch: Watch
) -> tuple[Any, Any, bool]:
    """The rows that judge, the unlabelled rows, and whether the first have no labels.

    Rows without labels only teach a version that was trained here. For an imported version they judge by agreement.
    """
    from aias.data.read import read

    target = first.manifest.target
    if data is None and first.imported and unlabelled is not None:
        data, unlabelled = unlabelled, None
    if data is None or target is None or (unlabelled is not None and not first.imported):
        return data, unlabelled, False
    try:
        found = read(data, target=target.name, encoding=encoding, watch=nobody)
    except SchemaMismatch:  # there is no such column
        found = read(data, schema=Schema(first.manifest.inputs), encoding=encoding, watch=nobody)
    else:
        if found.frame[target.name].null_count() < found.rows:
            return data, unlabelled, False
    if first.imported:
        said = (
            f"{found.rows:,} rows hold no `{target.name}`: what is certified is how often a smaller form answers as "
            f"{first.ref} does, right or wrong"
        )
        watch(Event("compress.agreement", said, "warning", {"rows": found.rows}))
        return data, unlabelled, True
    said = f"{found.rows:,} rows without `{target.name}` are taught on besides; the rows of training certify"
    watch(Event("compress.unlabelled", said, facts={"rows": found.rows}))
    return None, data, False


def frontier_of(model: "Model") -> "Frontier":
    """The frontier of the last compression that did not measure less than the one before. A compressed version that was
    not compressed further gives the frontier it comes from. Raises `NotFound`."""
    from aias.compress.frontier import FRONTIER, read_frontier

    try:
        for path in (_place(model), model.folder / FRONTIER):
            if path.is_file():
                return read_frontier(path.read_bytes())
    except Damaged as fault:
        hint = (
            f"`aias compress {model.ref}` writes it anew" if path == _place(model) else "restore the version's folder"
        )
        raise Damaged(fault.message, hint=hint) from None
    raise NotFound(f"{model.ref} has not been compressed yet", hint=f"aias compress {model.ref}{_others(model)}")


def _others(model: "Model") -> str:
    """The newest other version of the model that has a frontier: who gives no number means the newest of all."""
    from aias.client.model import Model

    for version in reversed(model.registry.versions(model.version.name)):
        if _place(Model(model.registry, version)).is_file():
            return f"; `aias frontier {version.ref}` shows that of {version.ref}"
    return ""


def _before(model: "Model") -> "Frontier | None":
    """The stored frontier, if it can be read."""
    from aias.compress.frontier import read_frontier

    try:
        return read_frontier(_place(model).read_bytes())
    except (OSError, Damaged):
        return None


def _place(model: "Model") -> Path:
    return model.registry.home / FRONTIERS / f"{model.ref}.json"
