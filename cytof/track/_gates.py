"""Gates by name: the counts that gating left in ``uns["cytof"]``, and which path a name means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cytof._check import has_columns, nearest
from cytof.errors import GateError, InputError, UsageError
from cytof.keys import UNS, Obs, Tables

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["aliases", "counts", "inside", "is_ancestor", "number", "resolve"]

ROOT = "root"


def counts(adata: AnnData) -> pd.DataFrame:
    """Return ``uns["cytof"]["counts"]``, one row a sample and gate.

    Raises
    ------
    UsageError
        The cells were never gated.
    InputError
        A sample has two rows for one gate.
    """
    home = adata.uns.get(UNS, {})
    if "counts" not in home or not len(home["counts"]):
        raise UsageError(
            "no gate counts in adata.uns['cytof']['counts']",
            where="track",
            hint="gate the files before `cytof.assemble`, or use `groupby=` with `of='root'`",
        )
    table = home["counts"]
    has_columns(table.columns, Tables.COUNTS[:4], where="adata.uns['cytof']['counts']")
    table = table.astype({"sample_id": str, "gate": str})
    twice = table.duplicated(["sample_id", "gate"])
    if twice.any():
        first = table[twice].iloc[0]
        raise InputError(
            f"two rows for gate `{first['gate']}` of sample `{first['sample_id']}`",
            where="adata.uns['cytof']['counts']",
            hint="give each FCS file its own sample_id",
        )
    return table


def aliases(adata: AnnData) -> dict[str, str]:
    """Return alias -> gate path as the template in ``uns["cytof"]["gates"]`` names them; empty without one."""
    text = adata.uns.get(UNS, {}).get("gates", "")
    if not isinstance(text, str) or "alias" not in text:
        return {}
    from ruamel.yaml import YAML, YAMLError

    try:
        template = YAML(typ="safe").load(text)
    except YAMLError:
        return {}
    gates = template.get("gates", []) if isinstance(template, Mapping) else template
    rows: list[Mapping[str, Any]] = [g for g in gates or [] if isinstance(g, Mapping) and g.get("alias")]
    return {str(g["alias"]): "/".join(str(g[k]) for k in ("parent", "pop") if g.get(k, "root") != "root") for g in rows}


def resolve(name: str, paths: Iterable[str], alias: Mapping[str, str] | None = None) -> str:
    """Return the gate path that a name means: the full path, an unambiguous end of it, or an alias.

    Parameters
    ----------
    name
        ``cells/.../CD3+/CAR+``, ``CAR+/DN`` or ``CAR+``.
    paths
        All gate paths.
    alias
        Alias -> path or end of a path.

    Raises
    ------
    GateError
        No gate, or more than one, answers to the name; the candidates or the nearest are listed.

    Examples
    --------
    >>> resolve("CAR+/DN", ["CD3+/CAR+", "CD3+/CAR+/DN", "CD3+/CAR-/DN"])
    'CD3+/CAR+/DN'
    """
    known = list(dict.fromkeys(map(str, paths)))
    for wanted in (name, (alias or {}).get(name)):
        if not wanted:
            continue
        if wanted in known:
            return str(wanted)
        hits = [p for p in known if p.endswith("/" + wanted)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            ends = ", ".join(f"`{h}`" for h in hits)
            raise GateError(
                f"gate `{name}` may be {len(hits)} gates: {ends}", where="gate", hint="name more of the path"
            )
    ends_of = list(dict.fromkeys([p.rsplit("/", 1)[-1] for p in known] + list(alias or {})))
    raise GateError(
        f"no gate `{name}`, found {', '.join(known) or 'none'}", where="gate", hint=nearest(name, ends_of + known)
    )


def is_ancestor(above: str, path: str) -> bool:
    """Tell whether ``path`` lies below ``above``; everything lies below ``root``.

    Examples
    --------
    >>> is_ancestor("cells", "cells/CD3+"), is_ancestor("cells", "cells")
    (True, False)
    """
    return path != above and (above == ROOT or path.startswith(above + "/"))


def number(table: pd.DataFrame, gate: str, sample_ids: Iterable[str], column: str = "n") -> NDArray[np.float64]:
    """Return the count of a gate in each sample, NaN where the sample has no such row; shape (n_samples,)."""
    rows = table[table["gate"] == gate].set_index("sample_id")[column]
    return rows.reindex(list(sample_ids)).to_numpy(float)


def inside(adata: AnnData, gate: str) -> NDArray[np.bool_]:
    """Return the cells whose deepest gate is ``gate`` or lies below it; shape (n_cells,)."""
    if gate == ROOT:
        return np.ones(adata.n_obs, bool)
    has_columns(adata.obs.columns, [Obs.GATE], where="adata.obs", hint="cells made by `cytof.assemble` have it")
    found = adata.obs[Obs.GATE].astype("category")
    within = np.array([str(c) == gate or is_ancestor(gate, str(c)) for c in found.cat.categories] + [False])
    return within[found.cat.codes.to_numpy()]
