# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 Clinical: from dates to tables and curves
#
# A file with one row a patient is enough. Here it is the synthetic cohort: 74 invented patients whose tables and curves
# are those of the published five-year report. Nothing clinical can be concluded from them.

# %%
import tempfile
from pathlib import Path

import cytof as cy

folder = Path(tempfile.mkdtemp())
patients = cy.clinical.read_patients(cy.datasets.cohort(folder))
patients[["patient_id", "infusion_date", "best_response", "pd_date", "death_date", "last_alive_date"]].head()

# %% [markdown]
# ## Endpoints
# Every row says which rule decided it. For three patients FDA and EMA rules differ in progression-free survival.

# %%
ends = cy.clinical.endpoints(patients, rule="FDA", cutoff=cy.datasets.CUTOFF)
print(ends.query("PARAMCD == 'PFS'")[["patient_id", "AVAL", "event", "EVNTDESC", "CENSRULE"]].head())
cy.clinical.rule_differences(patients, cutoff=cy.datasets.CUTOFF).query("PARAMCD == 'PFS'").T

# %% [markdown]
# ## Survival
# The paper prints 21.0 % (12.2-31.4) free of progression at five years and a median of 18.0 months.

# %%
pfs = ends.query("PARAMCD == 'PFS'").merge(patients, on="patient_id")
km = cy.clinical.kaplan_meier(pfs, "AVAL", "event")
print(km.at(60).round(3))
print(km.median().round(1))
ax = cy.plot.km(km.table, km.risk_table(range(0, 73, 12)), km.median(), name="PFS")

# %% [markdown]
# ## Complete response: a group that is known only later
# A patient has to live to reach a response. From a landmark on, only what was known then counts.

# %%
pfs["cr_months"] = pfs["patient_id"].map(ends.query("PARAMCD == 'TTBR'").set_index("patient_id")["AVAL"])
pfs["cr_months"] = pfs["cr_months"].where(pfs["CRFL"] == "Y")
print("naive   :", cy.clinical.log_rank(pfs, "AVAL", "event", "CRFL").cite())
print("         ", cy.clinical.immortal_caption("CR"))
late = cy.clinical.landmark(pfs, "AVAL", "event", 6, "cr_months", state="cr_by_6")
print("landmark:", cy.clinical.log_rank(late.table, "AVAL", "event", "cr_by_6").cite())
print("         ", late.caption)
cy.clinical.time_dependent(pfs, "AVAL", "event", "cr_months").table.round(3)

# %% [markdown]
# ## Response and Table 1
# Exact intervals; the test of each row is named. The IgG row is the one whose printed p is not by Fisher's test.

# %%
print(cy.clinical.rate(65, 74).cite())
table = cy.clinical.table_one(patients, "OUTGRP", ["AGE", "ECOG", "ISS", "EMDFL", "IGTYPE"], categorical=["ECOG"],
                              each_level=["IGTYPE"])  # fmt: skip
print(table[["variable", "level", "overall", "Non-PD", "PD/Death", "p", "test"]].to_string())
cy.clinical.check_published([
    {"name": "ECOG", "counts": [[8, 22], [1, 31], [3, 9]], "p": "0.0144", "test": "fisher"},
    {"name": "IgG", "counts": [[9, 24], [3, 38]], "p": "0.0206", "test": "fisher"},
])  # fmt: skip

# %% [markdown]
# Printed survival rates are checked the same way, against each other or against the patients. 62 events, three of them
# after 60 months, cannot leave 21.0 %: some of them must have been censored.

# %%
cy.clinical.check_km_rates([
    {"name": "PFS", "rate": "21.0", "ci": ["12.2", "31.4"], "n": 74},
    {"name": "PFS, 59 events", "rate": "21.0", "n": 74, "events": 59},
    {"name": "OS", "rate": "49.1", "ci": ["37.2", "60.0"], "n": 74, "conf": "log"},
])  # fmt: skip

# %% [markdown]
# ## Competing events and covariates

# %%
crpd = ends.query("PARAMCD == 'CRPD'").assign(cause=lambda t: t["EVNTDESC"].str.lower())
found = cy.clinical.cumulative_incidence(crpd, "AVAL", "cause")
ax = cy.plot.incidence(found.table)
model = cy.clinical.cox(pfs, "AVAL", "event", ["AGE", "ECOG", "EMDFL"])
print(model.table.round(3).to_string())
model.proportional().round(3)

# %% [markdown]
# ## Everything at once
# The command `cytof clinical patients.csv` writes all tables (CSV, HTML, DOCX, XLSX, LaTeX), figures and a page.
