"""The minimum spanning tree of the nodes of a map, which FlowSOM draws its stars on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["spanning_tree"]


def spanning_tree(codes: NDArray[np.floating]) -> pd.DataFrame:
    """Return the edges that join all nodes at the least total length.

    Parameters
    ----------
    codes
        Nodes, shape (n_nodes, n_features).

    Returns
    -------
    DataFrame ``source target length`` with n_nodes - 1 rows, source < target, sorted. Of edges of one length that with
    the lower nodes is taken.

    Examples
    --------
    >>> spanning_tree(np.array([[0.0], [3.0], [1.0]])).values.tolist()
    [[0.0, 2.0, 1.0], [1.0, 2.0, 2.0]]

    Source: Prim 1957, Bell System Technical Journal 36:1389.
    """
    import pandas as pd
    from scipy.spatial.distance import cdist

    apart = cdist(codes, codes)
    n = len(apart)
    edges, near, source = [], apart[0].copy(), np.zeros(n, int)
    near[0] = np.inf
    outside = np.ones(n, bool)
    outside[0] = False
    for _ in range(n - 1):
        new = int(np.where(outside, near, np.inf).argmin())
        edges.append((min(new, source[new]), max(new, source[new]), near[new]))
        outside[new] = False
        closer = outside & (apart[new] < near)
        near[closer], source[closer] = apart[new][closer], new
    table = pd.DataFrame(edges, columns=["source", "target", "length"])
    return table.astype({"source": int, "target": int}).sort_values(["source", "target"], ignore_index=True)
