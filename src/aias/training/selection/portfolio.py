"""What is tried, in which order, and on how many folds: settings that are strong together on other people's data.

The order follows what large comparisons of tabular models found (TabArena, Erickson et al. 2025; TabRepo, Salinas and
Erickson 2024): a quick linear model; boosted trees; what errs differently (extremely random trees, a network,
CatBoost); last boosted trees of other characters. What is chosen here was not chosen on the data sets that the
benchmarks report; where one of them is named, it was looked at afterwards.
"""

import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aias.core.arrays import Ints
from aias.core.catalog import member, members
from aias.core.task import MEDIAN, Task
from aias.encoders.rows import Layout
from aias.learners.boosting import CODES_MAX
from aias.training.logarithms import is_skewed
from aias.training.outliers import has_outliers
from aias.training.pipeline import FEATURES
from aias.training.selection.configuration import Configuration
from aias.training.table import Table

ROUND_SECONDS: Final = (1e-3, 2e-8)
"""Of one boosting round on one thread: to start, and per value of the matrix; only the number of folds goes by it."""

ROUNDS: Final = (300, 60)
"""Typical for a learning rate of 0.05 with early stopping; and of many classes, each round of which has many trees that
take a tenth of the time that is reckoned for one."""

FOLDS: Final = (8, 5, 3)
FOLD_ROWS_MAX: Final = {8: 20_000, 5: 50_000, 3: 50_000}
"""Beyond, what is fitted again on all rows and answers alone is better than what has seen two thirds of them."""

MEMBERS_WANTED: Final = 3
"""Members for which the folds must leave time."""

HOLDOUT_ROWS: Final = 5_000
"""That judge where one part of all does: an AUC of 0.8 is known within 0.006 then."""

FEW_ROWS: Final = 10_000
"""Up to which a network and extremely random trees cost little; beyond, they learn slowly beside boosters."""

MANY_ROWS: Final = 100_000
EACH_MIN: Final = 100
"""Of so many rows the first booster, beside which there is seldom time for another, is told what answers the values of
large categories have, where each has so many rows: they are numbers to it otherwise (docs/log.md)."""

SLOW_ROUND_SECONDS: Final = 0.25
"""Of boosting on one thread, from which a minute is over before its trees know much: what learns all classes at once
comes right behind the first of them."""

SENTENCES_COST: Final = 1.5
"""Of a linear learner that reads sentences too, for one that reads words."""


SPARSE_COST: Final = 2.5
"""Of a linear learner that leaves out most columns: .21 and .27 s for .10, of 100 × 600 and 80 × 1,000 numbers."""

WIDE_LINEAR_SHARE: Final = 0.4
"""Of the time that a linear model's folds would have, where it reads very many numbers and no texts: of 3,072 pixels it
took a quarter of a minute for an AUC of .853, and trees of .92 come after it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the order depends on."""

    task: Task
    rows: int
    layout: Layout
    sentences: bool = False
    """Whether a sentence encoder has read the texts."""
    skewed: bool = False
    """Whether the amounts are worth learning as logarithms."""
    outliers: bool = False
    """Whether a few amounts lie so far off that others are hardly learned beside them."""

    @classmethod
    def of(cls, table: Table, *, sentences: bool, known: Ints | None = None) -> "Shape":
        """`known`: the rows whose amounts may be looked at, where these are not all."""
        y = table.whole.y if known is None else table.whole.y[known]
        skewed, outliers = is_skewed(table.task, y), has_outliers(table.task, y)
        return cls(table.task, table.rows, table.encoder.layout, sentences, skewed, outliers and not skewed)

    @property
    def outputs(self) -> int:
        return len(self.task.classes) if self.task.type == "multiclass" else 1

    @property
    def round_seconds(self) -> float:
        """What a round of boosting should take on one thread."""
        start, each = ROUND_SECONDS
        return self.outputs * (start + each * self.rows * (min(self.layout.width, WIDE_COLUMNS) + 1))


def fold_count(shape: Shape, *, seconds: float, workers: int) -> int:
    """As many folds as rows need and the time allows; 1 is a holdout."""
    each = ROUNDS[shape.outputs > 1] * shape.round_seconds
    for count in FOLDS:
        if shape.rows <= FOLD_ROWS_MAX[count] and MEMBERS_WANTED * count * each / workers <= 0.6 * seconds:
            return count
    return 1


def holdout_share(rows: int) -> float:
    """At most a fifth; so many rows that weights are chosen well, and no more, since none of them is fitted on."""
    return min(0.2, HOLDOUT_ROWS / rows)


def portfolio(shape: Shape, *, only: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Configuration]:
    """Configurations in their order, for the learners that are there and can take part.

    `only`: these learners; one that comes with settings is fitted with them, once.
    """
    only, done = only or {}, set[str]()
    for each in _clipped(_ordered(shape)) if shape.outliers else _ordered(shape):
        if each.learner in done or not _takes_part(each.learner, shape, only):
            continue
        if set(only) == {each.learner}:
            each = replace(each, share=1.0)  # noqa: PLW2901  nothing comes after it
        if shape.task.metric == "rmsle" and each.settings.get("log_target"):
            # By other metrics, what words say of logarithms is no better than what they say of the amounts.
            each = replace(each, derived=tuple(LOGARITHMS.get(name, name) for name in each.derived))  # noqa: PLW2901
        if settings := only.get(each.learner):
            done.add(each.learner)
            each = replace(each, name=each.learner, settings=dict(settings))  # noqa: PLW2901
        yield each


def families(configurations: Iterable[Configuration]) -> tuple[list[Configuration], list[Configuration]]:
    """The first of each learner, and all the others."""
    first: dict[str, Configuration] = {}
    others = [each for each in configurations if first.setdefault(each.learner, each) is not each]
    return list(first.values()), others


def hindrance(name: str, shape: Shape) -> str | None:
    """Why a learner cannot learn from data of this shape, whoever asks for it; None where it can."""
    learner = member("learners", name)
    if missing := [each for each in getattr(learner, "needs", ()) if importlib.util.find_spec(each) is None]:
        return f"`{missing[0]}` is not installed"
    if not learner.sparse and not shape.layout.width:  # of texts alone trees would only see what `linear` makes
        return "it learns nothing from texts alone"
    if shape.rows < (rows := getattr(learner, "rows_min", 0)):
        return f"it takes {rows:,} rows or more, and these are {shape.rows:,}"
    if shape.rows > (rows := getattr(learner, "rows_max", shape.rows)):
        return f"it takes at most {rows:,} rows, and these are {shape.rows:,}"
    if shape.outputs > (classes := getattr(learner, "classes_max", shape.outputs)):
        return f"it takes at most {classes:,} classes, and these are {shape.outputs:,}"
    return None


def _takes_part(name: str, shape: Shape, only: Collection[str]) -> bool:
    """Whether a learner is there, is wanted, and can learn from data of this shape."""
    if name not in members("learners") or (only and name not in only):
        return False
    learner = member("learners", name)
    means = getattr(learner, "means", False) and shape.task.quantile not in (None, MEDIAN)
    if not only and (means or getattr(learner, "asked_only", False)):
        return False
    return hindrance(name, shape) is None


def derived_of(layout: Layout, *, sentences: bool = False) -> tuple[str, ...]:
    """The columns that everything but what is linear reads besides."""
    sums = ("text_sums",) if layout.terms or sentences else ()
    return ("time_gaps", *sums) if len(layout.times) > 1 else sums


def _ordered(shape: Shape) -> list[Configuration]:
    more = derived_of(shape.layout, sentences=shape.sentences)
    read = FEATURES if shape.sentences else ()
    crossed = ("target_means", *more) if shape.layout.categories else more
    few_columns, few_rows = shape.layout.width <= FEW_COLUMNS, shape.rows <= FEW_ROWS
    wide = round(WIDE_COLUMNS / shape.layout.width, 3) if shape.layout.width > WIDE_COLUMNS else 0.0
    # A booster grows a tree for each class in every round; networks and extremely random trees learn all at once.
    many_classes, once = shape.outputs > 1, shape.outputs**0.5

    def trees(name: str, cost: float, settings: dict[str, Any], derived: tuple[str, ...] = more) -> Configuration:
        if few_columns and "feature_fraction" in settings:
            settings = {BY_NODE.get(each, each): value for each, value in settings.items()}
        if wide:
            settings = settings | {"feature_fraction": min(settings.get("feature_fraction", 1.0), wide)}
        return Configuration(f"boosted_trees {name}".strip(), "boosted_trees", settings, derived, read, cost)

    def network(name: str, settings: dict[str, Any], cost: float = 4.0) -> Configuration:
        return Configuration(name, "mlp", settings, more, read, cost / once)

    every = ALL if few_columns and not shape.task.classes else {}
    random = Configuration("extra_trees", "extra_trees", every, crossed, read, 1.5 / once)
    networks = [
        network("mlp wide", WIDE),
        *([network("mlp log", {**WIDE, **LOG})] if shape.skewed else ()),
        network("mlp plain", PLAIN),
    ]
    plain = replace(trees("", 1.0, {"learning_rate": 0.1 if many_classes else 0.05}), features=())
    large_codes = any(CODES_MAX < each <= shape.rows / EACH_MIN for each in shape.layout.category_sizes)
    if shape.rows >= MANY_ROWS and large_codes:
        plain = replace(plain, derived=crossed)
    sets = any(size > CODES_MAX for size in shape.layout.category_sizes)
    extra = trees("extra", 1.2, {**EXTRA, **(OF_CLASSES if many_classes else {}), **(DRAWN_SETS if sets else {})})
    log = [trees("log", 1.0, {"learning_rate": 0.05, **LOG})] if shape.skewed else []
    fine = [trees("fine", 2.0, FINE)] if shape.layout.categories and not few_rows else []
    large = [*fine, trees("deep", 2.5, DEEP)]
    values = [
        *([trees("crossed", 1.5, CROSSED, crossed)] if shape.layout.categories else ()),
        *([trees("sets", 2.5, SETS)] if sets else ()),
    ]
    shallow = trees("shallow", 1.0 if wide else 1.5, SHALLOW)
    catboost = Configuration("catboost", "catboost", {"rsm": wide} if wide else {}, more, read, 5.0)
    xgboost = Configuration("xgboost", "xgboost", {"colsample_bytree": wide} if wide else {}, more, read, 2.5)
    others = [xgboost, trees("random", 4.0, RANDOM)]
    if few_rows and many_classes:
        order = [random, *networks, extra, plain, *log, *values, catboost, *others, *large]
    elif few_rows and wide:
        order = [extra, shallow, plain, *log, *values, random, *networks, catboost, *others, *large]
    elif few_rows:
        order = [plain, *log, *values, extra, random, *networks, catboost, *others, *large]
    elif many_classes:  # of many rows extra trees may take longer than all others
        first = networks[: shape.round_seconds > SLOW_ROUND_SECONDS]
        order = [plain, *first, *values, random, catboost, *log, extra, *others, *large, *networks[len(first) :]]
    elif sets:
        order = [plain, *values[:1], *large, extra, *values[1:], random, catboost, *log, *others, *networks]
    else:  # of many rows large trees learn more than all that differs from them
        order = [plain, *large, *values, random, catboost, *log, extra, *others, *networks]
    return [
        *_linear(shape, read),
        *([trees("sentences", 1.0, {"learning_rate": 0.05})] if read else ()),
        *order,
        network("mlp periodic", WAVES, 6.0),
        network("mlp", {}),
        *([] if shallow in order else [shallow]),
        Configuration("nearest", "nearest", {}, more, read, 0.5),
        trees("random deep", 4.0, RANDOM_DEEP),
        Configuration("text_mlp", "text_mlp", cost=4.0),
    ]


def _clipped(configurations: Sequence[Configuration]) -> Iterator[Configuration]:
    """After the first of each learner the same, which outliers among the amounts do not lead astray. Not before: those
    that can be foretold are worth more than all else."""
    first, _ = families(configurations)
    for each in configurations:
        yield each
        if each in first:
            yield replace(each, name=f"{each.name} clipped", settings={**each.settings, **CLIPPED})


def _linear(shape: Shape, read: tuple[str, ...]) -> list[Configuration]:
    """What the sentence encoder's time was spent for comes first: the first is begun, however little time is left. Of
    many texts there may be time for one model only, and by ratios it is the better one."""
    told_apart = bool(shape.layout.terms and shape.task.classes)
    few = shape.rows < FEW_EACH * len(shape.task.classes)
    wide = shape.layout.width > WIDE_COLUMNS and not shape.layout.terms and not read
    share = WIDE_LINEAR_SHARE if wide else 1.0

    def one(name: str, first: float, *, ratios: bool = False, features: tuple[str, ...] = ()) -> Configuration:
        settings: dict[str, Any] = {"ratios": True} if ratios else {}
        if told_apart:
            settings["first"] = first
        return Configuration(name, "linear", settings, features=features, cost=SENTENCES_COST if features else 1.0)

    ratios = [one("linear nb", RATIOS_FIRST, ratios=True)] if told_apart else []
    both = [one("linear nb sentences", SENTENCES_FIRST, ratios=True, features=read)] if told_apart and read else []
    sentences = [one("linear sentences", SENTENCES_FIRST, features=read)] if read else []
    rest = [one("linear", WORDS_FIRST), *([Configuration("linear log", "linear", LOG)] if shape.skewed else ())]
    if shape.layout.width * 2 > shape.rows:
        rest.append(Configuration("linear lasso", "linear", {"sparse": True}, cost=SPARSE_COST))
    rest = [replace(each, share=share) for each in rest]
    if few:
        return [*sentences, *rest, *ratios]
    return [*both, *rest, *sentences, *ratios] if read else [*ratios, *rest]


WORDS_FIRST: Final = 10.0
RATIOS_FIRST: Final = 3.0
"""The C by which linear models of texts begin: where time is short it is the only one. On half of `subj`,
`chnsenticorp_hotel` and `sms_spam` a softmax of two is best by log loss at 10 to 30, and at 3 to 10 under ratios."""

SENTENCES_FIRST: Final = 3.0
"""The same beside vectors: a row is five times as long in its square (`features/sentences.py`), so a fifth of C holds
as much back."""

FEW_EACH: Final = 16
"""Rows of each class below which ratios are left out beside vectors: what a word seen once tells of 57 classes is luck,
and they let it outweigh what vectors say. Chosen on `subj`, `sms_spam`, `review_polarity_docs` and subjects of MMLU."""

FEW_COLUMNS: Final = 16

WIDE_COLUMNS: Final = 400
"""Of more, each tree is grown on so many, drawn for it: of 1,600 numbers and 3,072 pixels there is time for five to
eleven times as many rounds, AUC .826 → .859 and .876 → .917, and few rows are best told apart by small trees (.884,
.923; docs/log.md)."""

BY_NODE: Final = {"feature_fraction": "feature_fraction_bynode"}
"""Each question of a tree is chosen among a share of few columns, not each tree grown on them: half of 2 columns is
one, and what only both together tell is never learned (AUC of `banana` .73 to .79 for .97)."""

ALL: Final[dict[str, Any]] = {"max_features": 1.0}
"""For amounts, extremely random trees look at every one of few columns: of 12 the RMSE is 41 for 49. Of 23 to 30 it
is 14.97, 78.1 and 2.25 for 15.26, 78.3 and 2.23, in twice the time (docs/log.md)."""

LOG: Final[dict[str, Any]] = {"log_target": True}
LOGARITHMS: Final = {"text_sums": "log_text_sums"}
CLIPPED: Final[dict[str, Any]] = {"clip_target": True}
WIDE: Final[dict[str, Any]] = {"width": 128, "members": 4}
PLAIN: Final[dict[str, Any]] = {"expansion": "none", "width": 128, "members": 4}
WAVES: Final[dict[str, Any]] = {"expansion": "waves", "width": 256, "members": 4}
EXTRA: Final[dict[str, Any]] = {"learning_rate": 0.05, "extra_trees": True}
"""One threshold of each column is drawn: alone better than plain trees on nine sets of 14, in as much time."""

OF_CLASSES: Final[dict[str, Any]] = {"learning_rate": 0.1, "feature_fraction_bynode": 0.5}
"""Of several classes: log loss of `optdigits` .0548 in 3.7 s, .0746 in 5.5 s of plain trees in small steps; of
`penbased` .0357 and .0524, of `vehicle` .459 and .546. Of more than 10,000 rows plain trees were better on
three sets of four, in a tenth to a quarter of the time (`diamonds`' cut .524 and .578), so they come first there."""

SETS: Final[dict[str, Any]] = {"learning_rate": 0.05, "codes_max": 1_024}
"""Categories of many codes are parted into sets too: of one fold, the RMSE of hotel prices is 12.85 so and 13.35 as
numbers, the AUC of late flights .766 and .778."""

DRAWN_SETS: Final[dict[str, Any]] = {"codes_max": SETS["codes_max"], "min_data_per_group": 100}
"""Where thresholds are drawn, sets of many codes learn less by heart."""

RANDOM: Final[dict[str, Any]] = {
    "learning_rate": 0.03, "num_leaves": 40, "extra_trees": True, "feature_fraction": 0.5, "bagging_fraction": 0.9,
    "bagging_freq": 1, "min_data_in_leaf": 4, "lambda_l1": 0.2, "lambda_l2": 0.4, "cat_smooth": 15.0,
    "max_cat_to_onehot": 16,
}  # fmt: skip
CROSSED: Final[dict[str, Any]] = {
    "learning_rate": 0.05, "num_leaves": 48, "feature_fraction": 0.6, "min_data_in_leaf": 24, "lambda_l2": 1.0,
}  # fmt: skip
DEEP: Final[dict[str, Any]] = {
    "learning_rate": 0.03,
    "num_leaves": 96,
    "feature_fraction": 0.5,
    "min_data_in_leaf": 4,
    "lambda_l2": 0.8,
}
FINE: Final[dict[str, Any]] = {
    "learning_rate": 0.03, "num_leaves": 176, "min_data_in_leaf": 10, "lambda_l2": 0.01,
    "cat_l2": 3.0, "cat_smooth": 1.2,
}  # fmt: skip
"""Values of categories are told apart by few rows."""

SHALLOW: Final[dict[str, Any]] = {
    "learning_rate": 0.03, "num_leaves": 7, "extra_trees": True, "feature_fraction": 0.5, "lambda_l2": 5.0,
    "min_data_in_leaf": 10,
}  # fmt: skip
RANDOM_DEEP: Final[dict[str, Any]] = {
    "learning_rate": 0.03, "num_leaves": 128, "extra_trees": True, "feature_fraction": 0.7, "min_data_in_leaf": 8,
    "lambda_l2": 0.5,
}  # fmt: skip
