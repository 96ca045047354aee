"""The door of the room: figures, tables behind them, methods text and page of a study, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cytof.provenance import atomic
from cytof.report._chapters import chapters
from cytof.report._figures import figures
from cytof.report._html import page
from cytof.report._methods import methods_text, paragraphs
from cytof.report._tables import Settings, study_tables

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["write"]


def write(
    adata: AnnData, out: str | Path, *, study_name: str, waterfall: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None, views: pd.DataFrame | None = None, settings: Settings | None = None,
) -> Path:  # fmt: skip
    """Write the figure set, ``report.html`` and ``methods.md`` of a study.

    Parameters
    ----------
    adata
        Cells of the study (``cells.h5ad``): clusters of the CAR T cells (or of the kept cells) in ``obs``, the map in
        ``obsm``, gate tables in ``uns["cytof"]``. Cells without a cluster or a place on the map have NaN there.
    out
        Folder; figures go to ``out/figures``.
    study_name
        Title.
    waterfall
        Columns ``sample_id step n_left fraction_left`` (:func:`cytof.clean.waterfall` of each sample).
    provenance
        Optional ``inputs`` (sample -> ``file bytes sha256``), ``failed`` (sample -> message), ``versions``.
    views
        Binned events of every gate (:func:`gate_views` of each sample), for the gate pages.
    settings
        What the figures show.

    Returns
    -------
    Path of ``report.html``.

    Writes
    ------
    ``figures/*`` (see :func:`figures`), ``report.html`` (one file, no request to any server), ``methods.md``. Nothing
    in them depends on the clock: same cells, same bytes.

    Raises
    ------
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile, anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"sample_id": ["a", "a"], "flowsom": ["1", "2"]}, index=["1", "2"])
    >>> cells = anndata.AnnData(np.eye(2, dtype=np.float32), obs=obs, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> write(cells, tempfile.mkdtemp(), study_name="Demo").name
    'report.html'
    """
    out = Path(out)
    made = study_tables(adata, settings)
    if waterfall is not None and len(waterfall):
        places = {s: i for i, s in enumerate(made.scope.samples)}
        waterfall = waterfall.astype({"sample_id": str})
        waterfall = waterfall.sort_values("sample_id", key=lambda s: s.map(places).fillna(len(places)), kind="stable")
    drawn = figures(adata, out / "figures", settings=settings, made=made, waterfall=waterfall, views=views)
    text, references = paragraphs(adata, made, provenance)
    with atomic(out / "methods.md") as part:
        part.write_text(methods_text(adata, made, study_name=study_name, provenance=provenance), encoding="utf-8")
    said = [*text, *(f"[{i}] {r}" for i, r in enumerate(references, 1))]
    parts = chapters(adata, made, drawn, waterfall=waterfall, provenance=provenance, methods=said)
    scope = made.scope
    samples = f"{len(scope.samples):,} sample{'s' * (len(scope.samples) != 1)}"
    subtitle = f"{samples}, {adata.n_obs:,} cells; analysed: {scope.cells.n_obs:,} {scope.name}"
    html = page(study_name, subtitle, parts, "Written by cytof. Figures, tables and methods text lie beside this file.")
    with atomic(out / "report.html") as part:
        part.write_text(html, encoding="utf-8", newline="\n")
    return out / "report.html"
