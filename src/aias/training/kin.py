"""Rows that belong together by one number or another: of one group, or copies that stand in several groups."""

import numpy as np

from aias.core.arrays import Ints


def kin(groups: Ints, copies: Ints) -> Ints:
    """For each row the number of all that are of its group or copies of it, or of such a row's, and so on: (rows,)."""
    from scipy.sparse import coo_matrix  # late: few tables have such copies
    from scipy.sparse.csgraph import connected_components

    group, copy = (np.unique(each, return_inverse=True)[1] for each in (groups, copies))
    first = int(group.max(initial=-1)) + 1  # whatever the number, a copy's is another's than a group's
    count = first + int(copy.max(initial=-1)) + 1
    links = coo_matrix((np.ones(len(group), np.int8), (group, first + copy)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1][group], np.int64)


def is_part(numbers: Ints) -> bool:
    """Whether none of the numbers is that of most of the rows: then they part them."""
    return bool(2 * np.unique(numbers, return_counts=True)[1].max(initial=0) <= len(numbers))
