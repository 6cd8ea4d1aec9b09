"""The second axis, what a model is made of: members, leaves, rounds, layers; more of them, fewer, or two made one."""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Any, Final

from aias.core.catalog import member as learner_of
from aias.optimize.context import (
    BOOSTED,
    FEWER_TREES,
    RULES,
    STEP,
    STEPS_MAX,
    SearchContext,
    around_best,
    around_used,
    changed,
    in_turns,
    setting,
)
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from aias.training.selection.portfolio import portfolio

__all__ = ["structure"]

NEW_FAMILIES_FIRST: Final = 3
"""Members of learners that the parent does not have, before anything else is grown: they err differently."""

DIMENSIONS: Final = frozenset({
    "num_leaves", "min_data_in_leaf", "max_cat_to_onehot", "max_depth", "min_child_weight", "depth", "one_hot_max_size",
    "min_samples_leaf", "width", "layers", "members", "activation", "expansion", "expansion_parts", "expansion_width",
})  # fmt: skip
"""Settings that say what a model is made of; all others say how it is trained."""

SIZES: Final[Mapping[str, tuple[tuple[str, int, int, int], ...]]] = {
    "boosted_trees": (("num_leaves", 31, 4, 255),),
    "xgboost": (("max_depth", 6, 2, 12),),
    "catboost": (("depth", 6, 3, 8),),
    "extra_trees": (("trees", 200, 50, 400),),
    "mlp": (("width", 128, 16, 512), ("members", 8, 2, 32)),
    "text_mlp": (("width", 32, 4, 128), ("layers", 1, 1, 3)),
}
"""What grows with each learner: the setting, its usual value, its least and its largest."""

LIMIT_SHARE: Final = 0.9
"""Of the rounds that there were to be: where the best one came later, more might have been better."""


def structure(context: SearchContext) -> Iterator[Configuration]:
    new = _new_members(context)
    yield from islice(new, NEW_FAMILIES_FIRST)
    yield from in_turns(
        around_best(context, _variations), new, around_used(context, DIMENSIONS.__contains__, "structure")
    )


def _variations(context: SearchContext, member: Member) -> Iterator[Configuration]:
    yield from _more_rounds(context, member)
    yield from _sized(member, 2.0, "grown")
    yield from _sized(member, 0.5, "pruned")
    yield from _merged(context)


def _new_members(context: SearchContext) -> Iterator[Configuration]:
    """What the portfolio has and the parent has not: first of learners that are new to it."""
    names = context.names
    learners = {each.configuration.learner for each in context.board.members}
    missing = [
        each
        for each in portfolio(context.shape, only={name: {} for name in context.learners})
        if each.name not in names
    ]
    return iter(sorted(missing, key=lambda each: each.learner in learners))


def _sized(member: Member, times: float, what: str) -> Iterator[Configuration]:
    for name, usual, low, high in SIZES.get(member.configuration.learner, ()):
        now = setting(member, name, usual)
        wanted = now + round(math.log2(times)) if name.endswith("depth") else round(now * times)
        wanted = min(max(wanted, low), high)
        started = "start" in member.configuration.settings
        if wanted == now or (started and member.configuration.learner not in RULES):
            continue
        afresh = {"start": None, "learning_rate": None} if started else {}  # what it went on from has another shape
        yield changed(member.configuration, f"{what} to {name} {wanted}", **{name: wanted}, **afresh)


def _more_rounds(context: SearchContext, member: Member) -> Iterator[Configuration]:
    """Where training ended though more rounds would have helped. Where trees were pruned they are few on purpose."""
    configuration = member.configuration
    if configuration.learner in BOOSTED and FEWER_TREES not in configuration.name.split(STEP):
        usual = learner_of("learners", configuration.learner).rounds_max[context.board.task.type == "multiclass"]
        most = int(configuration.settings.get("rounds", usual))
        if setting(member, "rounds", 0) >= LIMIT_SHARE * most:
            yield changed(configuration, f"grown to rounds {2 * most}", rounds=2 * most)


def _merged(context: SearchContext) -> Iterator[Configuration]:
    """Two members of one learner made one, half-way between them."""
    for first, second in combinations(context.ranked[:4], 2):
        if first.name.count(STEP) + second.name.count(STEP) >= STEPS_MAX:
            continue
        one, other = first.configuration, second.configuration
        if (one.learner, one.derived, one.features) == (other.learner, other.derived, other.features):
            between = {name: _between(value, other.settings[name]) for name, value in one.settings.items()
                       if name in other.settings}  # fmt: skip
            if between != {name: one.settings[name] for name in between}:
                yield changed(one, f"merged with {second.name}", **between)
                return


def _between(one: Any, other: Any) -> Any:
    """The geometric mean of two positive numbers; of anything else the first."""
    if isinstance(one, bool) or not all(isinstance(each, int | float) and each > 0 for each in (one, other)):
        return one
    mean = math.sqrt(one * other)
    return round(mean) if isinstance(one, int) else mean
