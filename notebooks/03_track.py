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
# # Follow CAR T cells over the years

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
# ## How many are left, and how sure are we
#
# `ci` is the exact interval of counting. `call` compares the count with what cells that cannot be CAR+ (B cells, the
# blanks) put into the gate by chance.

# %%
shares = cy.track.abundance(adata, population="CAR+", of="CD45+")
shares[["timepoint", "n", "n_denominator", "fraction", "ci_low", "ci_high", "false_expected", "call"]].round(5)

# %%
ax = cy.plot.persistence(shares)

# %% [markdown]
# ## CD4, CD8, double negative

# %%
subsets = cy.track.subsets(adata, of="CAR+")
subsets = subsets.assign(population=subsets["population"].str.rsplit("/").str[-1])
ax = cy.plot.composition(subsets, total="n_denominator")

# %%
ax = cy.plot.stream(subsets)

# %% [markdown]
# ## Clusters from visit to visit
#
# Bands join the same cluster at two visits; no cell is followed.

# %%
car = adata[adata.obs["car"]].copy()
cy.cluster.flowsom(car, n_clusters=9, random_state=0)

clusters = cy.track.composition(car, groupby="flowsom", within="sample_id")
ax = cy.plot.alluvial(clusters, x="subset", total="n_subset", order=list(sheet["sample_id"]))
