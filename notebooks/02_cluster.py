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
# # Look at clusters and name them
#
# FlowSOM and PhenoGraph on the CAR T cells of a SYNTHETIC patient.

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

# %% [markdown]
# ## FlowSOM
#
# Cells are first put into a canonical order: the same cells give the same clusters, however the files were read.

# %%
car = adata[adata.obs["car"]].copy()
cy.cluster.flowsom(car, n_clusters=9, random_state=0)

told = car.uns["cytof"]
print(told["som"]["proposed_k"], "proposed:", told["som"]["reason"])
ax = cy.plot.delta_area(told["consensus"], chosen=9)

# %% [markdown]
# ## Which markers make a cluster
#
# The mean of arcsinh values, each marker from 0 to 1; bars are the share of cells. Trees order rows and columns.

# %%
import pandas as pd

profile = cy.track.profile(car, groupby="flowsom", scale="first")
trees = pd.concat([cy.track.dendrogram(profile, axis) for axis in ("cluster", "marker")])
ax = cy.plot.heatmap(profile, trees=trees)

# %%
nodes, edges = cy.track.stars(car, markers=["CD4", "CD8", "CD45RA", "CCR7", "CD27", "CD57"])
ax = cy.plot.tree(nodes, edges)

# %% [markdown]
# ## PhenoGraph and a map

# %%
cy.cluster.phenograph(car, k=30, random_state=0)
cy.embed.tsne(car, random_state=0)
table = cy.track.map(car, columns=("timepoint", "flowsom"))
ax = cy.plot.map(table)

# %% [markdown]
# ## It is an AnnData like any other
#
# Names lie where scanpy looks for them, so `sc.pl.tsne(car, color="flowsom")` draws the same map.

# %%
pd.crosstab(car.obs["flowsom"], car.obs["phenograph"])
