"""The clinical wing: from dates to every table and survival curve of a follow-up paper; data frames only, no cells.

Times, events and groups are columns of a table with one row a patient; ``event`` is 1 or True for the event. Each
result says by which method it was made. What is own code and what is a library's, and why:

======================================= ==========================================================================
own, equal to R (tests/clinical)        Kaplan-Meier with its intervals, medians and restricted means; log-rank in all
                                        forms; Cox with ties, strata, start-stop, Firth and the test of proportionality;
                                        cumulative incidence and Gray's test; maximally selected cutpoint; exact tests
                                        of counts of any size; rank-sum with ties. The libraries differ from R or lack
                                        the method (each module says how).
scipy                                   distributions, ranks, roots
great_tables, python-docx, openpyxl     the files tables are written to
======================================= ==========================================================================

Not here: Fine-Gray regression and robust (sandwich) errors of the Cox model.

Examples
--------
>>> import pandas as pd
>>> table = pd.DataFrame({"months": [5, 6, 8, 9, 12], "dead": [1, 0, 1, 1, 0]})
>>> float(kaplan_meier(table, "months", "dead").median()["median"].iloc[0])
9.0
"""

from __future__ import annotations

from cytof.clinical._assessments import best_responses, mrd_calls
from cytof.clinical._categorical import categorical_test, freeman_halton
from cytof.clinical._checks import check_patients, level_variants, patient_cautions, refuse_patients
from cytof.clinical._competing import Incidence, cumulative_incidence
from cytof.clinical._cox import Cox, cox
from cytof.clinical._cutpoint import Cutpoint, cutpoint
from cytof.clinical._endpoints import MONTH, RULES, endpoints, rule_differences
from cytof.clinical._follow_up import group_p, long_responders, persistence_table, survival_table, therapy_table
from cytof.clinical._format import Sheet, fixed, interval_text, median_text
from cytof.clinical._kaplan_meier import KaplanMeier, kaplan_meier, median_follow_up
from cytof.clinical._landmark import Landmark, immortal_caption, landmark, split_at, time_dependent
from cytof.clinical._log_rank import LogRank, holm, log_rank, log_rank_pairs
from cytof.clinical._paraprotein import paraprotein_responses
from cytof.clinical._published import check_published
from cytof.clinical._published_rates import check_km_rates
from cytof.clinical._rank_sum import rank_sum
from cytof.clinical._rates import patient_years, rate, rates
from cytof.clinical._read import dates, read_patients, read_table, rename_adam
from cytof.clinical._result import Categorical, Rate, Test, p_text
from cytof.clinical._safety import adverse_events, event_rates, second_malignancies
from cytof.clinical._table_one import lesion_hits, same_partition, standardised_difference, table_one
from cytof.clinical._turnbull import IntervalCensored, interval_censored
from cytof.clinical._visits import check_assessments, missed_visits
from cytof.clinical._write import write_tables

__all__ = [
    "Categorical",
    "Cox",
    "Cutpoint",
    "Incidence",
    "IntervalCensored",
    "KaplanMeier",
    "Landmark",
    "LogRank",
    "MONTH",
    "RULES",
    "Rate",
    "Sheet",
    "Test",
    "adverse_events",
    "best_responses",
    "categorical_test",
    "check_assessments",
    "check_km_rates",
    "check_patients",
    "check_published",
    "cox",
    "cumulative_incidence",
    "cutpoint",
    "dates",
    "endpoints",
    "event_rates",
    "fixed",
    "freeman_halton",
    "group_p",
    "holm",
    "immortal_caption",
    "interval_censored",
    "interval_text",
    "kaplan_meier",
    "landmark",
    "lesion_hits",
    "level_variants",
    "log_rank",
    "log_rank_pairs",
    "long_responders",
    "median_follow_up",
    "median_text",
    "missed_visits",
    "mrd_calls",
    "p_text",
    "paraprotein_responses",
    "patient_cautions",
    "patient_years",
    "persistence_table",
    "rank_sum",
    "rate",
    "rates",
    "read_patients",
    "read_table",
    "refuse_patients",
    "rename_adam",
    "rule_differences",
    "same_partition",
    "second_malignancies",
    "split_at",
    "standardised_difference",
    "survival_table",
    "table_one",
    "therapy_table",
    "time_dependent",
    "write_tables",
]
