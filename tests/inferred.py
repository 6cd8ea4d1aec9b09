"""What is found out about a column."""

import numpy as np

from aias.data.read import read


def field_of(values, name="column", **others):
    others = others or {"other": [f"k{i * i % 11}" for i in range(len(values))]}
    dataset = read({name: values, **others})
    return dataset.schema[name], dataset


def shuffled(values):
    return [values[place] for place in np.random.default_rng(1).permutation(len(values))]
