"""The synthetic CAR T patient: four visits as FCS files, the truth beside each, a sample sheet and a study file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from cytof._check import at_least, in_range, one_of
from cytof.datasets._acquisition import Instrument, acquire
from cytof.datasets._phenotypes import SCENARIOS, VISITS, Visit, composition, levels, phenotypes
from cytof.datasets._plan import arrange, truth_lines
from cytof.errors import UsageError
from cytof.io import write_fcs
from cytof.keys import Tables
from cytof.provenance import atomic

__all__ = ["patient"]

_log = logging.getLogger("cytof")


def patient(out: str | Path, *, scenario: str = "paper", random_state: int = 0, scale: float = 1.0) -> Path:
    """Write a synthetic CAR T patient: FCS files of four visits, the truth of every event, a sheet and a study file.

    No value was measured and no person stands behind it. Shares of CAR T cells (3.01, 1.04, 0.49, 0.24 per cent of
    living single CD45+ cells), nine CAR T phenotypes (C6 CD4; C1-C3, C5 CD8; C4, C7-C9 double negative), their drift to
    91.6 per cent double negative at five years, and the directions of the marker trends follow the published case
    (LEGEND-2, five-year follow-up, results "CAR T cells kinetics" and Figure 4); the rest is a reconstruction.

    Parameters
    ----------
    out
        Folder to write into; made when absent, files of the same names are replaced.
    scenario
        ``paper``: no host gamma-delta T cells, so that no host T cell is double negative. ``gd``: 2 per cent of host T
        cells are gamma-delta, CD4- CD8-, and the panel holds no TCRgd to tell them.
    random_state
        Seed, 0 or more. The same seed writes the same bytes (same version of numpy, same kind of processor).
    scale
        Factor on the number of cells (1: 110,000-180,000 events a file; 0.1 for tests), 0.01 to 10.

    Returns
    -------
    Path of ``study.yaml``. Beside it:

    ``fcs/synthetic_<visit>.fcs``
        FCS 3.0, big-endian float32, 62 channels: Time (ms), Event_length (pushes), 41 antibodies, EQ beads (Ce140 Eu151
        Eu153 Ho165 Lu175), Ir191 and Ir193 (DNA), Pt195 (cisplatin), 7 background channels, Center, Offset, Width,
        Residual. Masses are dual counts dithered as the instrument does: a count of k > 0 is stored as k - u, u uniform
        on [0, 1); 0 stays 0.
    ``truth/synthetic_<visit>.truth.csv``
        One row an event in file order:

        - ``event`` row number, from 0;
        - ``cell_type`` ``CAR T``, ``host CD4 T``, ``host CD8 T``, ``host gd T``, ``B``, ``NK``, ``monocyte``, ``DC``,
          ``granulocyte``, ``erythroblast`` (CD45-), ``debris``, ``bead``; doublets name both partners (``CAR T+B``,
          ``bead+NK``);
        - ``cluster`` C1-C9 for CAR T cells, else empty;
        - ``car`` 1 for one CAR T cell, living or dead; 0 for doublets;
        - ``live`` 1 unless dead cell, debris or bead alone;
        - ``singlet`` 1 for one cell or one bead; 0 for doublets and debris;
        - ``bead`` 1 where a bead takes part; ``debris`` 1 for debris;
        - ``subset`` CD4, CD8 or DN for T cells, else empty.

        CAR T cells that a gate should find are ``car & live & singlet``; they are a share of ``live & singlet`` but
        erythroblasts.
    ``samples.csv``, ``study.yaml``, ``README.txt``
        The sample sheet (visits ``2mo 1yr 3yr 5yr``, days 60, 365, 1095, 1825), the study, and a word on all of it.

    Raises
    ------
    UsageError
        An unknown scenario, or a seed or scale out of range.
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = patient(folder, scale=0.01)
    ...     sorted(p.name for p in (study.parent / "fcs").iterdir())
    ['synthetic_1yr.fcs', 'synthetic_2mo.fcs', 'synthetic_3yr.fcs', 'synthetic_5yr.fcs']
    """
    one_of(scenario, SCENARIOS, "scenario")
    in_range(scale, 0.01, 10, "scale")
    at_least(random_state, 0, "random_state")
    if int(random_state) != random_state:
        raise UsageError(f"random_state is {random_state!r}, expected a whole number")
    out = Path(out)
    seeds = np.random.SeedSequence([int(random_state), SCENARIOS.index(scenario)]).spawn(len(VISITS))
    instrument = Instrument.load()
    for visit, seed in zip(VISITS, seeds, strict=True):
        _log.info("synthetic patient: writing visit %s", visit.sample_id)
        _write_visit(out, visit, composition(visit, scenario=scenario, scale=scale), instrument, seed)
    _write_text(out / "samples.csv", _sheet().to_csv(index=False, lineterminator="\n"))
    _write_text(out / "README.txt", _readme(scenario, int(random_state), scale))
    study = out / "study.yaml"
    _write_text(study, _study(scenario, int(random_state)))
    return study


def _stem(visit: Visit) -> str:
    return f"synthetic_{visit.sample_id}"


def _write_visit(
    out: Path, visit: Visit, counts: pd.Series, instrument: Instrument, seed: np.random.SeedSequence
) -> None:
    rng = np.random.default_rng(seed)
    table = phenotypes()
    plan = arrange(counts, table, rng)
    X = acquire(plan, levels(visit), table, visit, instrument, rng)
    name = f"{_stem(visit)}.fcs"
    keywords = {
        "$FIL": name,
        "$CYT": "DVSSCIENCES-CYTOF-SYNTHETIC",
        "$SRC": "SYNTHETIC PATIENT SYN-01",
        "$SMNO": visit.sample_id,
        "$COM": "SYNTHETIC DATA made by cytof.datasets.patient - no person and no measurement",
        "$TIMESTEP": "0.001",
        "RANDOMIZATION": "uniform negative: a count k > 0 is stored as k - u with u uniform on [0, 1)",
        "SYNTHETIC": "TRUE",
    }
    write_fcs(
        out / "fcs" / name,
        X,
        pnn=instrument.names,
        pns=instrument.stains,
        keywords=keywords,
        version="FCS3.0",
        byteorder="big",
    )
    _write_text(out / "truth" / f"{_stem(visit)}.truth.csv", truth_lines(plan, table))


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode())


def _sheet() -> pd.DataFrame:
    rows = [
        (f"fcs/{_stem(v)}.fcs", v.sample_id, "SYN-01", v.sample_id, v.day, v.batch_id, "synthetic", "") for v in VISITS
    ]
    return pd.DataFrame(rows, columns=list(Tables.SHEET))


def _study(scenario: str, seed: int) -> str:
    return (
        f"# SYNTHETIC patient, scenario {scenario}: see README.txt\n"
        "name: Synthetic CAR T patient\n"
        "panel: car_t_41\n"
        "gates: car_t_41\n"
        "samples: samples.csv\n"
        f"seed: {seed}\n"
    )


def _readme(scenario: str, seed: int, scale: float) -> str:
    call = f'cytof.datasets.patient(out, scenario="{scenario}", random_state={seed}, scale={scale:g})'
    visits = "\n".join(f"  {v.sample_id:<4} day {v.day:>4}  {v.batch_id}  {100 * v.car_share:.2f} %" for v in VISITS)
    return f"""SYNTHETIC DATA. No person, no measurement.

Made by {call}.

What is planted
  CAR T cells of living single CD45+ cells:
{visits}
  Nine CAR T phenotypes: C6 CD4; C1 C2 C3 C5 CD8; C4 C7 C8 C9 double negative (DN). DN grow to 91.6 % at five years.
  DN, later visits: HLA-DR CCR7 CD27 CD28 CD107a up; Ki67 CD38 level; GZMB PD-1 Tim-3 down.
  CD8, five years against two months: Ki67 HLA-DR level; GZMB PD-1 down.
  Five years, CAR T against host T: Ki67 a little higher; PD-1 CD57 GZMB CD107a lower.
  Scenario "{scenario}": {"2 % of host T cells are gamma-delta and DN" if scenario == "gd" else "no host T cell is DN"}.
  For each living single CD45+ cell: CD45- erythroblasts 0.8 %, dead cells 4 %, debris 6 %, doublets 1.9 % (random
  pairs), beads 2.5 %, bead-cell pairs 0.15 %.
  The sensitivity falls by about a tenth within each run and differs between runs (see batch_id).
These directions and shares follow the published case; every other number is a reconstruction.

Files
  fcs/    FCS 3.0, big-endian float32. Time in ms, Event_length in pushes, masses in dual counts.
          Dithering: a count k > 0 is stored as k - u, u uniform on [0, 1); 0 stays 0.
  truth/  one row an event, in file order:
          event      row number, from 0
          cell_type  doublets name both partners, for instance "CAR T+B"
          cluster    C1-C9 for CAR T cells, else empty
          car        1: one CAR T cell, living or dead (doublets 0)
          live       1 unless dead cell, debris or bead alone
          singlet    1: one cell or one bead
          bead       1: a bead takes part
          debris     1: debris
          subset     CD4, CD8 or DN for T cells, else empty
  samples.csv, study.yaml: open them with `cytof run study.yaml`.
"""
