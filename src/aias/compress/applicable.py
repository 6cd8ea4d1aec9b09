"""Which techniques are tried on which parents, and in which order."""

from typing import Final

NOT_KNOWN: Final = "it was imported, and the rows that it was fitted on are not known"

SECONDS: Final = ("int8", "static_embeddings", "static_windows")
"""Techniques that come first: what keeps its heads, fits nothing and is the likeliest to be certified; and those that
replace encoders that take minutes by ones that take seconds, and gain most."""

BY_TEACHER: Final = (
    "bfloat16", "cut_trees", "distill", "distill_network", "encoder_vocabulary", "fewer_columns", "fewer_layers",
    "fine_tune", "fold_graph", "half_weights", "int4", "low_rank", "narrower_layers", "prune_channels",
    "prune_weights", "smaller_model", *SECONDS,
)  # fmt: skip
"""Techniques that need only the parent's answers or its graph, and no member of it."""

MINUTES: Final = ("fine_tune",)
"""Techniques that are tried when all others were: one fit may take a fifth of the time."""

LAST: Final = ("cascade",)
"""Techniques that combine what the search has found."""

BY_BASE: Final = ("cut_trees", "distill", "fewer_columns", "rounded_weights", "smaller_model")
"""Techniques that need no member of a compressed parent, and can be repeated fold by fold."""

COMPRESSED: Final = "it is compressed already, and has no members any more"
