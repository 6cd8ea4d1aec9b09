"""Suggestions: the known name that is most like an unknown one, for "did you mean"."""

import difflib
from collections.abc import Collection, Iterable
from functools import lru_cache
from heapq import nlargest
from itertools import islice
from typing import Final

KNOWN_MAX: Final = 1_000
CHARS_MAX: Final = 100
"""Of more and longer names looking for the nearest takes seconds."""

CANDIDATES_MAX: Final = 24
"""Names that are compared as a whole, of 20 us each."""

ASKED_MAX: Final = 32
"""Whoever asks for what is not there asks again and again, with the same name among the same others."""

ELSEWHERE: Final = {
    "auc": "roc_auc", "auc_roc": "roc_auc", "roc_auc_score": "roc_auc", "f1_score": "f1", "acc": "accuracy",
    "average_precision": "pr_auc", "aucpr": "pr_auc", "logloss": "log_loss", "cross_entropy": "log_loss",
    "binary_logloss": "log_loss", "multi_logloss": "log_loss",
    "mse": "rmse", "mean_squared_error": "rmse", "root_mean_squared_error": "rmse", "l2": "rmse",
    "l1": "mae", "mean_absolute_error": "mae", "mean_absolute_percentage_error": "mape", "pinball": "quantile_loss",
    "lightgbm": "boosted_trees", "lgbm": "boosted_trees", "gbm": "boosted_trees", "gbdt": "boosted_trees",
    "random_forest": "extra_trees", "rf": "extra_trees", "xt": "extra_trees", "knn": "nearest", "nn": "mlp",
    "neural_network": "mlp", "logistic_regression": "linear", "linear_regression": "linear", "ridge": "linear",
    "lasso": "linear", "lr": "linear",
}  # fmt: skip
"""What scikit-learn, LightGBM, XGBoost and AutoGluon call metrics and learners, and what the nearest is called here."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever the case and the blanks around; None when none is like it."""
    return _nearest(name[:CHARS_MAX], tuple(islice(known, KNOWN_MAX)))


@lru_cache(ASKED_MAX)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    bare = {theirs: ours for theirs, ours in ELSEWHERE.items() if ours in known}
    bare |= {_bare(each): each for each in reversed(known)}  # of several the first
    close = difflib.get_close_matches(_bare(name), _candidates(_bare(name), bare), n=1)
    return bare[close[0]] if close else None


def _candidates(name: str, known: Collection[str]) -> Collection[str]:
    """All, or of many those that begin and end most like it: to compare 500 as a whole takes ten milliseconds, in which
    a server would answer nobody."""
    if len(known) <= CANDIDATES_MAX:
        return known
    backwards = name[::-1]
    shared = {each: _beginning(name, each) + _beginning(backwards, each[::-1]) for each in known}
    return nlargest(CANDIDATES_MAX, shared, key=shared.__getitem__)


def _beginning(one: str, other: str) -> int:
    """How many characters both begin with."""
    for at, (mine, others) in enumerate(zip(one, other, strict=False)):
        if mine != others:
            return at
    return min(len(one), len(other))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A whole hint, or an empty text."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near is not None else ""


def choices(name: str, known: Iterable[str]) -> str:
    """A whole hint: the known names, before them the nearest."""
    known = tuple(known)
    return f"{did_you_mean(name, known)} choose from: {', '.join(known)}".lstrip()


def _bare(name: str) -> str:
    return name[:CHARS_MAX].strip().casefold()
