# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Make the paper's figures
#
# `cytof report` makes the whole set. Here the same, in steps that can be changed.

# %%
import os
import tempfile
from pathlib import Path

import cytof as cy

SCALE = float(os.environ.get("CYTOF_NOTEBOOK_SCALE", "0.1"))  # 1: the size of the demo
folder = Path(tempfile.mkdtemp())
cy.datasets.patient(folder, scale=SCALE, random_state=0)

# %%
panel = cy.panel.load("car_t_41")
template = cy.panel.load_gates("car_t_41")
sheet = cy.io.read_sheet(folder / "samples.csv")


def cleaned(row):
    events = cy.io.read_fcs(row.path, panel=panel, sample_id=row.sample_id)
    return cy.clean.intact(cy.clean.find_beads(events))


samples = list(sheet.itertuples())
thresholds = cy.gate.place(template, (cleaned(s).draw(50_000) for s in samples), sheet)
gated = [cy.gate.apply(cleaned(s), template, thresholds).keep("CD3+") for s in samples]
adata = cy.assemble(gated, sheet)

# %%
car = adata[adata.obs["car"]].copy()
cy.cluster.flowsom(car, n_clusters=9, random_state=0)
cy.embed.tsne(car, random_state=0)

# %% [markdown]
# ## Put a figure together
#
# Every plot takes a table and Axes and returns the Axes. `style` holds journal sizes and embedded fonts for a block;
# the colour of a category is the same in every figure.

# %%
import matplotlib.pyplot as plt

shares = cy.track.abundance(adata, population="CAR+", of="CD45+")
clusters = cy.track.composition(car, groupby="flowsom", within="sample_id")
with cy.plot.style():
    size = cy.plot.millimetres(cy.plot.DOUBLE, 60)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained")
    cy.plot.persistence(shares, ax=left)
    cy.plot.composition(clusters, x="subset", fill="cluster", kind="clusters", total="n_subset", ax=right)

# %% [markdown]
# ## Save it for a journal
#
# PDF with embedded fonts, SVG, PNG of 300 dpi; no dates, so the same cells give the same bytes.

# %%
[path.name for path in cy.report.save(figure, folder / "figure")]

# %% [markdown]
# ## The numbers behind a figure
#
# The table that was drawn is the source data: save it beside the figure, and it draws the figure again.

# %%
profile = cy.track.profile(car, groupby="flowsom")
cy.io.write_table(folder / "profile.csv", profile)

import pandas as pd

again = pd.read_csv(folder / "profile.csv", dtype={"cluster": str})
ax = cy.plot.heatmap(again)

# %% [markdown]
# Publish `tables/` and `cells.h5ad` with the paper, and fill what `methods.md` marks TO FILL.
