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
# # Gate a new file
#
# From FCS files to gated CAR T cells. The files here are of a SYNTHETIC patient; put your own folder in their place.

# %%
import os
import tempfile
from pathlib import Path

import cytof as cy

SCALE = float(os.environ.get("CYTOF_NOTEBOOK_SCALE", "0.1"))  # 1: the size of the demo
folder = Path(tempfile.mkdtemp())
cy.datasets.patient(folder, scale=SCALE, random_state=0)

# %% [markdown]
# ## What is in a file
#
# A panel says what each channel means. Channels are matched by element and mass, whatever their names look like.

# %%
panel = cy.panel.load("car_t_41")
sheet = cy.io.read_sheet(folder / "samples.csv")
events = cy.io.read_fcs(sheet["path"].iloc[0], panel=panel, sample_id=sheet["sample_id"].iloc[0])
events.channels[["pnn", "antigen", "marker_class", "role"]].head(10)

# %% [markdown]
# ## Clean, then gate
#
# Beads, debris, doublets and dead cells are flagged, not thrown away. Thresholds are placed once, on a draw of all
# samples; then each file is gated by itself, so that one file at a time is in memory.

# %%
template = cy.panel.load_gates("car_t_41")


def cleaned(row):
    events = cy.io.read_fcs(row.path, panel=panel, sample_id=row.sample_id)
    return cy.clean.intact(cy.clean.find_beads(events))


samples = list(sheet.itertuples())
thresholds = cy.gate.place(template, (cleaned(s).draw(50_000) for s in samples), sheet)
gated = [cy.gate.apply(cleaned(s), template, thresholds) for s in samples]
gated[0].counts[["gate", "n", "fraction_of_parent", "flag"]].tail(8)

# %% [markdown]
# ## Look at the gates before you believe them
#
# A threshold has an interval and, where the data did not place it well, a flag.

# %%
from matplotlib.figure import Figure

views = cy.report.gate_views(gated[-1])
with cy.plot.style():
    figure = Figure(figsize=cy.plot.millimetres(cy.plot.DOUBLE, cy.report.page_height(views)), dpi=70)
    cy.report.gate_page(figure, views)
figure

# %% [markdown]
# ## One table of cells
#
# `assemble` is the only door from gates to cells. `X` is arcsinh(counts / 5), `layers["counts"]` the counts.

# %%
adata = cy.assemble([g.keep("CD3+") for g in gated], sheet)
adata.obs.groupby("timepoint", observed=True)["car"].agg(["sum", "size"])
