"""How many metaclusters: the consensus and the variance for every k, and a proposal with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof.cluster._consensus import Consensus

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["choose"]

_STEP = 0.25  # a further metacluster is worth it while it takes this share of the variance that is left
_LEAST = 0.005  # and this share of all the variance: what is left in the end is noise


def choose(
    codes: NDArray[np.floating],
    counts: NDArray[np.integer],
    lookup: Mapping[int, NDArray[np.int64]],
    agreed: Consensus,
) -> tuple[pd.DataFrame, int, str]:
    """Return what speaks for each k, the proposed k and the reason in words.

    Proposed is the last k whose split takes a quarter or more of the variance between nodes that the one before left
    within metaclusters (and 0.5 % of all of it or more). It is a proposal: a population that is rare or close to
    another takes less.

    Parameters
    ----------
    codes, counts
        Nodes and their numbers of cells.
    lookup
        k -> metacluster of each node, from :func:`metaclusters`.
    agreed
        Consensus of the nodes with cells.

    Returns
    -------
    DataFrame ``k area delta ambiguous within``: area under the cumulative distribution of the consensus and its
    relative gain (Monti's delta area), share of ambiguous pairs of nodes, share of the variance between nodes (weighted
    by cells) left within metaclusters; k; sentence.

    Examples
    --------
    >>> from cytof.cluster._flowsom import metaclusters
    >>> codes = np.array([[0.0], [0.1], [5.0], [5.2], [9.0], [9.3]])
    >>> lookup, agreed = metaclusters(codes, np.ones(6, int), 5)
    >>> choose(codes, np.ones(6, int), lookup, agreed)[1]
    3

    Source: Monti et al. 2003, Machine Learning 52:91, section 3.3.1 (delta area).
    """
    import pandas as pd

    within = {k: _within(np.asarray(codes, np.float64), counts, number) for k, number in lookup.items()}
    whole = within[1] or 1.0
    left = {k: value / whole for k, value in within.items()}
    area = agreed.area
    delta = {k: area[k] if k == 2 else (area[k] - area[k - 1]) / max(area[k - 1], 1e-12) for k in area}
    table = pd.DataFrame(
        {
            "k": list(area),
            "area": list(area.values()),
            "delta": list(delta.values()),
            "ambiguous": [agreed.ambiguous[k] for k in area],
            "within": [left[k] for k in area],
        }
    )
    taken = {k: 1 - left[k] / left[k - 1] for k in area if left[k - 1] > 1e-9}
    worth = [k for k, share in taken.items() if share >= _STEP and left[k - 1] - left[k] >= _LEAST]
    if not worth:
        return table, 1, f"no split takes {_STEP:.0%} of the variance between nodes: no k is better than another"
    k = max(worth)
    reason = (
        f"the last split that takes {_STEP:.0%} or more of the variance left within metaclusters is the one to {k} "
        f"({left[k - 1]:.1%} to {left[k]:.1%} of all between nodes); the consensus area grows by {delta[k]:.1%} there"
    )
    if k == max(area):
        reason += f"; {k} is the largest k looked at, there may be more"
    return table, k, reason


def _within(codes: NDArray[np.float64], counts: NDArray[np.integer], number: NDArray[np.int64]) -> float:
    """Return the sum of squares of the nodes around the mean of their metacluster, weighted by cells."""
    total = np.bincount(number, counts)
    sums = np.zeros((len(total), codes.shape[1]))
    np.add.at(sums, number, codes * counts[:, None])
    means = sums / np.maximum(total, 1)[:, None]
    return float((((codes - means[number]) ** 2).sum(1) * counts).sum())
