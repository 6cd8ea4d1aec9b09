"""Where the settings of each learner are searched for.

Wide enough for small and large data, in the spirit of TabArena's search spaces (Erickson et al. 2025), rounded anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aias.tuning.contract import Choice, Float, Int, Space


@dataclass(frozen=True, slots=True)
class Searched:
    """`usual`: what a dimension is, about, when nobody sets it. `always`: settings without which a dimension would say
    nothing. `categorical`: dimensions that mean nothing without categories."""

    space: Space
    usual: Mapping[str, Any]
    always: Mapping[str, Any] = field(default_factory=dict)
    categorical: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.usual.keys() == self.space.keys(), "each dimension has a usual value"

    def over(self, *, categories: bool) -> Space:
        """The dimensions that mean something for the data."""
        return {name: each for name, each in self.space.items() if categories or name not in self.categorical}


SPACES: Final[Mapping[str, Searched]] = {
    "boosted_trees": Searched(
        {
            "learning_rate": Float(0.01, 0.15, log=True),
            "num_leaves": Int(4, 250, log=True),
            "min_data_in_leaf": Int(1, 64, log=True),
            "extra_trees": Choice((False, True)),
            "feature_fraction": Float(0.3, 1.0),
            "bagging_fraction": Float(0.6, 1.0),
            "lambda_l1": Float(1e-4, 1.0, log=True),
            "lambda_l2": Float(1e-3, 10.0, log=True),
            "cat_smooth": Float(0.1, 100.0, log=True),
            "cat_l2": Float(0.1, 30.0, log=True),
            "max_cat_to_onehot": Int(2, 100, log=True),
        },
        {
            "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20, "extra_trees": False,
            "feature_fraction": 0.9, "bagging_fraction": 1.0, "lambda_l1": 1e-4, "lambda_l2": 1e-3,
            "cat_smooth": 10.0, "cat_l2": 10.0, "max_cat_to_onehot": 4,
        },
        always={"bagging_freq": 1},
        categorical=("cat_smooth", "cat_l2", "max_cat_to_onehot"),
    ),
    "xgboost": Searched(
        {
            "learning_rate": Float(0.01, 0.15, log=True),
            "max_depth": Int(3, 12, log=True),
            "min_child_weight": Float(0.01, 30.0, log=True),
            "subsample": Float(0.6, 1.0),
            "colsample_bylevel": Float(0.5, 1.0),
            "colsample_bynode": Float(0.4, 1.0),
            "reg_alpha": Float(1e-4, 5.0, log=True),
            "reg_lambda": Float(1e-3, 10.0, log=True),
            "max_cat_to_onehot": Int(2, 100, log=True),
        },
        {
            "learning_rate": 0.05, "max_depth": 6, "min_child_weight": 1.0, "subsample": 1.0, "colsample_bylevel": 1.0,
            "colsample_bynode": 1.0, "reg_alpha": 1e-4, "reg_lambda": 1.0, "max_cat_to_onehot": 4,
        },
        categorical=("max_cat_to_onehot",),
    ),
    "catboost": Searched(
        {
            "learning_rate": Float(0.01, 0.15, log=True),
            "depth": Int(4, 8),
            "l2_leaf_reg": Float(0.01, 10.0, log=True),
            "random_strength": Float(0.1, 5.0, log=True),
            "leaf_estimation_iterations": Int(1, 15, log=True),
            "one_hot_max_size": Int(2, 100, log=True),
        },
        {
            "learning_rate": 0.05, "depth": 6, "l2_leaf_reg": 3.0, "random_strength": 1.0,
            "leaf_estimation_iterations": 1, "one_hot_max_size": 2,
        },
        categorical=("one_hot_max_size",),
    ),
    "extra_trees": Searched(
        {
            "max_features": Float(0.2, 1.0),
            "min_samples_leaf": Int(1, 30, log=True),
            "min_impurity_decrease": Float(1e-9, 1e-4, log=True),
        },
        {"max_features": 0.5, "min_samples_leaf": 1, "min_impurity_decrease": 1e-9},
    ),
    "mlp": Searched(
        {
            "learning_rate": Float(3e-4, 2e-2, log=True),
            "weight_decay": Float(1e-4, 0.3, log=True),
            "width": Choice((64, 128, 256)),
            "layers": Int(1, 4),
            "members": Choice((4, 8, 16)),
            "activation": Choice(("relu", "silu")),
            "dropout": Float(0.0, 0.4),
            "expansion": Choice(("pieces", "waves", "none")),
            "expansion_parts": Int(4, 48, log=True),
            "expansion_width": Int(2, 16, log=True),
        },
        {
            "learning_rate": 5e-3, "weight_decay": 0.03, "width": 128, "layers": 2, "members": 8, "activation": "relu",
            "dropout": 0.1, "expansion": "pieces", "expansion_parts": 16, "expansion_width": 4,
        },
    ),
    "text_mlp": Searched(
        {
            "learning_rate": Float(1e-3, 5e-2, log=True),
            "width": Choice((8, 16, 32, 64)),
            "layers": Int(1, 2),
            "weight_decay": Float(1e-5, 1e-2, log=True),
            "batch_rows": Choice((32, 64, 128)),
        },
        {"learning_rate": 5e-3, "width": 32, "layers": 1, "weight_decay": 1e-5, "batch_rows": 64},
        always={"update": "adam"},
    ),
    "linear": Searched({"C": Float(1e-3, 1e3, log=True)}, {"C": 1.0}),
}  # fmt: skip
"""By the learner's name. Learners that are not here are not searched."""
