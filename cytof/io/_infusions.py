"""infusions.csv -> table: which product was given when; what comes after another CAR T product is set apart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cytof._check import has_columns
from cytof.errors import SheetError, raise_all
from cytof.io._cells import Cell, day_of, read_cells

__all__ = ["read_infusions"]


def read_infusions(path: str | Path) -> pd.DataFrame:
    r"""Read the infusions of each patient.

    Parameters
    ----------
    path
        CSV, TSV or XLSX with ``patient_id date product``; ``dose fraction`` and others are kept as text.

    Returns
    -------
    DataFrame ``patient_id date product day ...`` by patient and date. ``day``: since the patient's first infusion;
    ``another`` (bool): of another product than the first.

    Raises
    ------
    SheetError
        All faults at once, each ``file:row: column``.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "infusions.csv"
    >>> _ = file.write_text("patient_id,date,product\nP1,2016-03-01,A\nP1,2016-03-08,A\nP1,2019-03-01,B\n")
    >>> read_infusions(file)[["product", "day", "another"]].values.tolist()
    [['A', 0.0, False], ['A', 7.0, False], ['B', 1095.0, True]]
    """
    path = Path(path)
    rows = read_cells(path)
    if len(rows) < 2:
        raise SheetError("no infusions", where=str(path), hint="write a header and one row an infusion")
    names = [str(c).strip().casefold().replace(" ", "_") for c in rows[0][1]]
    has_columns(names, ["patient_id", "date", "product"], where=f"{path}:{rows[0][0]}", error=SheetError)
    records, faults = [], []
    for number, cells in rows[1:]:
        record = dict(zip(names, [*cells, *[Cell("")] * (len(names) - len(cells))], strict=False))
        date = day_of(record["date"])
        for column in ("patient_id", "product"):
            if not record[column]:
                faults.append(SheetError(f"{column}: empty", where=f"{path}:{number}", hint="fill it in"))
        if date is None:
            found = f"date: '{record['date']}' is not a date"
            faults.append(SheetError(found, where=f"{path}:{number}", hint="write YYYY-MM-DD"))
        records.append({k: str(v) for k, v in record.items()} | {"date": date})
    raise_all(faults)
    table = pd.DataFrame(records)
    table["date"] = pd.to_datetime(table["date"])
    table = table.sort_values(["patient_id", "date"], kind="stable", ignore_index=True)
    first = table.groupby("patient_id")
    table["day"] = (table["date"] - first["date"].transform("first")).dt.days.astype(float)
    table["another"] = table["product"].str.casefold() != first["product"].transform("first").str.casefold()
    lead = ["patient_id", "date", "product", "day", "another"]
    return table[[*lead, *(c for c in table.columns if c not in lead)]]
