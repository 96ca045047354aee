"""The clustered cells as the explore page asks for them: places, colours, what a lasso holds, names of clusters."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import io, pipeline
from cytof._check import one_of
from cytof.errors import InputError, UsageError
from cytof.keys import OBSM, Obs, Var
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Atlas", "NAMES"]

NAMES = "names_{key}.csv"
"""File of a merging table beside study.yaml: ``old new author date``; ``cytof cluster --names`` applies it."""

_CATEGORIES = (Obs.FLOWSOM, Obs.PHENOGRAPH, Obs.SUBSET, Obs.TIMEPOINT, Obs.SAMPLE)


class Atlas:
    """The cells of a study that are on its map.

    Parameters
    ----------
    study
        After ``cytof cluster``.

    Raises
    ------
    InputError
        No cells were clustered, or none are on a map.

    Attributes
    ----------
    cells
        AnnData of the cells on the map.
    places
        float32, shape (n_cells, 2).
    keys, markers
        Columns of ``obs`` and antigens that cells can be coloured by.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        cells = pipeline.read_cells(study)
        maps = [k for k in (OBSM.TSNE, "X_umap") if k in cells.obsm]
        inside = np.isfinite(cells.obsm[maps[0]]).all(axis=1) if maps else np.zeros(cells.n_obs, bool)
        if not inside.any():
            raise InputError("no cells on a map", where=str(study.out / "cells.h5ad"), hint="run `cytof cluster` first")
        self.cells: AnnData = cells[inside].copy()
        self.map = maps[0]
        self.places = np.asarray(self.cells.obsm[self.map], np.float32)
        named = [c for c in self.cells.obs if str(c).endswith("_named")]
        self.keys = [k for k in (*_CATEGORIES, *named) if k in self.cells.obs and self.cells.obs[k].notna().any()]
        self.markers = _antibodies(self.cells)

    def values(self, name: str) -> NDArray[np.float32]:
        """Return a marker of all cells, on the arcsinh scale.

        Raises
        ------
        UsageError
            No such marker.
        """
        one_of(name, [str(v) for v in self.cells.var_names], "marker", where="explore")
        X = self.cells.X[:, self.cells.var_names.get_loc(name)]
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X, np.float32).ravel()

    def labels(self, key: str) -> pd.Series:
        """Return a category of all cells as text, blank where there is none."""
        one_of(key, self.keys, "key", where="explore")
        return self.cells.obs[key].astype(object).where(self.cells.obs[key].notna(), "").astype(str)

    def visits(self) -> list[str]:
        """Return the time points in the order of their days."""
        obs = self.cells.obs
        if Obs.TIMEPOINT not in obs:
            return []
        table = obs[[Obs.TIMEPOINT]].assign(day=obs[Obs.DAY] if Obs.DAY in obs else 0).drop_duplicates(Obs.TIMEPOINT)
        return table.sort_values("day", kind="stable")[Obs.TIMEPOINT].astype(str).tolist()

    def of_visit(self, visit: str | None) -> NDArray[np.bool_]:
        """Return which cells are of a visit; None: all."""
        if visit is None:
            return np.ones(self.cells.n_obs, bool)
        return (self.cells.obs[Obs.TIMEPOINT].astype(str) == visit).to_numpy()

    def counts(self, chosen: NDArray[np.bool_]) -> pd.DataFrame:
        """Return ``sample_id n n_all share``: cells of a lasso in each sample, of those of the sample on the map."""
        samples = self.cells.obs[Obs.SAMPLE].astype(str)
        order = list(dict.fromkeys(samples))
        total, inside = samples.value_counts(), samples[chosen].value_counts()
        n = np.array([int(inside.get(s, 0)) for s in order])
        n_all = np.array([int(total[s]) for s in order])
        return pd.DataFrame({"sample_id": order, "n": n, "n_all": n_all, "share": n / np.maximum(n_all, 1)})

    def profile(self, chosen: NDArray[np.bool_]) -> pd.DataFrame:
        """Return ``marker chosen others difference``: means on the arcsinh scale; NaN where one side has no cells."""
        rows = [(m, *_means(self.values(m), chosen)) for m in self.markers]
        table = pd.DataFrame(rows, columns=["marker", "chosen", "others"])
        return table.assign(difference=table["chosen"] - table["others"])

    def heat(self, key: str) -> pd.DataFrame:
        """Return ``cluster marker level n``: mean of each cluster, each marker scaled 0 to 1 over the clusters."""
        labels = self.labels(key)
        clusters = [c for c in dict.fromkeys(sorted(labels, key=_natural)) if c]
        means = np.array([[self.values(m)[(labels == c).to_numpy()].mean() for m in self.markers] for c in clusters])
        low, high = means.min(0), means.max(0)
        level = (means - low) / np.where(high > low, high - low, 1)
        n = labels.value_counts()
        rows = [
            (c, m, float(level[i, j]), int(n[c])) for i, c in enumerate(clusters) for j, m in enumerate(self.markers)
        ]
        return pd.DataFrame(rows, columns=["cluster", "marker", "level", "n"])

    def names(self, key: str) -> pd.DataFrame:
        """Return the merging table of a key, ``old new author date``: the saved one, else every cluster as it is.

        Raises
        ------
        InputError
            The saved table cannot be read.
        """
        clusters = [c for c in dict.fromkeys(sorted(self.labels(key), key=_natural)) if c]
        table = pd.DataFrame({"old": clusters, "new": clusters, "author": "", "date": ""})
        path = self._names_file(key)
        if path.exists():
            try:
                saved = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("old")
                for column in ("new", "author", "date"):
                    table[column] = table["old"].map(saved[column]).fillna(table[column])
            except (KeyError, ValueError) as error:
                hint = "mend it, or move it away to begin again"
                raise InputError("is no merging table (old,new,author,date)", where=str(path), hint=hint) from error
        return table

    def rename(self, key: str, cluster: str, name: str, author: str) -> Path:
        """Name a cluster and save the table; clusters with one name become one. Returns the file.

        Raises
        ------
        UsageError
            No author or name, or no such cluster.
        """
        blank = [what for what, value in (("author", author), ("name", name)) if not value.strip()]
        if blank:
            raise UsageError(f"no {' and no '.join(blank)}", where="explore", hint="say who names it, and how")
        table = self.names(key)
        one_of(cluster, list(table["old"]), "cluster", where="explore")
        here = table["old"] == cluster
        table.loc[here, ["new", "author", "date"]] = [name.strip(), author.strip(), dt.date.today().isoformat()]
        path = self._names_file(key)
        io.write_table(path, table)
        return path

    def _names_file(self, key: str) -> Path:
        return self.study.path(NAMES.format(key=key))


def _antibodies(cells: AnnData) -> list[str]:
    """Return the markers of antibodies; every channel where the panel says nothing of them."""
    names = [str(v) for v in cells.var_names]
    if Var.MARKER_CLASS not in cells.var:
        return names
    kinds = cells.var[Var.MARKER_CLASS].astype(str).isin(["type", "state"]) | (cells.var[Var.ROLE] == "car")
    return [n for n, kept in zip(names, kinds, strict=True) if kept] or names


def _means(values: NDArray[np.float32], chosen: NDArray[np.bool_]) -> tuple[float, float]:
    inside, outside = values[chosen], values[~chosen]
    return (
        float(inside.mean(dtype=float)) if len(inside) else float("nan"),
        float(outside.mean(dtype=float)) if len(outside) else float("nan"),
    )


def _natural(label: str) -> tuple[int, int, str]:
    return (0, int(label), "") if label.isdigit() else (1, 0, label)
