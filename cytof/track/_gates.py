"""Gates by name: the counts that gating left in ``uns["cytof"]``, and which path a name means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.errors import GateError, InputError, UsageError
from cytof.keys import UNS, Obs, Tables
from cytof.panel.template import resolve

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["ROOT", "counts", "inside", "is_ancestor", "number", "path"]

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


def path(adata: AnnData, name: str, known: Iterable[str] | None = None) -> str:
    """Return the gate path that a name means: a full path, an unambiguous end of one, an alias, or ``root``.

    Parameters
    ----------
    adata
        Cells with gate counts; the template's text in ``uns["cytof"]["gates"]`` holds the aliases.
    name
        ``cells/.../CD3+/CAR+``, ``CAR+/DN``, ``CAR+`` or ``Host T``.
    known
        All gate paths, where they are not those of the counts.

    Raises
    ------
    GateError
        No gate, or more than one, answers to the name; the candidates or the nearest are named.
    """
    paths = list(dict.fromkeys(map(str, counts(adata)["gate"] if known is None else known)))
    found = resolve(name, paths, _aliases(adata, paths), where="adata.uns['cytof']['counts']", error=GateError)
    return str(found)


def _aliases(adata: AnnData, paths: list[str]) -> dict[str, str]:
    """Return alias -> gate path as the template names them; empty without a template."""
    text = adata.uns.get(UNS, {}).get("gates", "")
    if not isinstance(text, str) or "alias" not in text:
        return {}
    from ruamel.yaml import YAML, YAMLError

    try:
        template = YAML(typ="safe").load(text)
    except YAMLError:
        return {}
    found: dict[str, str] = {}
    for gate in template.get("gates", []) if isinstance(template, Mapping) else []:
        if not gate.get("alias"):
            continue
        parent = str(gate.get("parent", ROOT))
        own = str(gate["pop"]) if parent == ROOT else f"{parent}/{gate['pop']}"
        try:
            found[str(gate["alias"])] = resolve(own, paths, found, error=GateError)
        except GateError:
            continue
    return found


def is_ancestor(above: str, below: str) -> bool:
    """Tell whether ``below`` lies below ``above``; everything lies below ``root``.

    Examples
    --------
    >>> is_ancestor("cells", "cells/CD3+"), is_ancestor("cells", "cells")
    (True, False)
    """
    return below != above and (above == ROOT or below.startswith(above + "/"))


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
