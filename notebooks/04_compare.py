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
# # Compare visits, and CAR T with host T cells

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
# ## What is the unit?
#
# With one patient the cell is the unit, and the table says so: such a p describes these tubes, not patients. Look at
# the effect size (Cliff's delta) before the p. With several patients a visit, the patient becomes the unit.

# %%
car = adata[adata.obs["car"]].copy()
tests = cy.compare.markers(car, by="timepoint", reference="2mo", within="subset", markers=["Ki67", "GZMB", "CCR7"])
tests[["subset", "marker", "contrast", "unit", "n_units", "cliffs_delta", "p", "q"]].tail(6)

# %%
violins = cy.track.distributions(car, markers=["GZMB"], by="timepoint", within="subset")
ax = cy.plot.violins(violins, tests, marker="GZMB", subset="DN", order=["2mo", "1yr", "3yr", "5yr"])

# %% [markdown]
# ## CAR T against host T at one visit

# %%
first = adata[(adata.obs["timepoint"] == "2mo").to_numpy()].copy()
markers = ["Ki67", "GZMB", "CD107a", "PD-1", "CD57"]
arms = cy.track.distributions(first, markers=markers, by="car")
tests = cy.compare.markers(first, by="car", reference=False, within=None, markers=markers)
ax = cy.plot.split_violins(arms, tests, order=["CAR+", "CAR-"])

# %% [markdown]
# ## Are the samples alike?

# %%
ax = cy.plot.mds(cy.track.sample_distances(car))
