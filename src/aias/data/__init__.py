"""A file → a typed, checked, split dataset."""

import os

# Polars takes its memory from jemalloc, which by its own setting keeps what was freed for good: reading a million rows
# then holds 870 MB where 650 are in use. It reads this when Polars is loaded, hence before any file of this folder.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:0")
