"""A patients' file -> a table with our column names and real dates; nothing is guessed that a date could mean twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cytof._check import has_columns, one_of
from cytof.errors import InputError, raise_all

__all__ = ["ADAM", "DATES", "RESPONSES", "dates", "read_patients", "read_table", "rename_adam"]

ADAM = {
    "USUBJID": "patient_id", "SUBJID": "patient_id", "TRTSDT": "infusion_date", "APHDT": "apheresis_date",
    "LSTALVDT": "last_alive_date", "DTHDT": "death_date", "DTHCAUS": "death_cause", "RSPDT": "first_response_date",
    "BOR": "best_response", "BRSPDT": "best_response_date", "PDDT": "pd_date", "LSTASDT": "last_assessment_date",
    "NTXSDT": "new_therapy_date", "IGRECDT": "ig_recovery_date", "IGEVALFL": "ig_evaluable", "SPMDT": "spm_date",
    "SPMTYPE": "spm_type",
}  # fmt: skip
"""ADSL variables -> our columns."""

DATES = (
    "infusion_date", "apheresis_date", "last_alive_date", "death_date", "first_response_date", "best_response_date",
    "pd_date", "last_assessment_date", "new_therapy_date", "ig_recovery_date", "spm_date",
    "assessment_before_pd_date",
)  # fmt: skip
"""Columns that hold dates."""

RESPONSES = ("sCR", "CR", "VGPR", "PR", "MR", "SD", "PD", "NE")
"""IMWG responses from best to worst, then not evaluable."""

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]00:00(:00(\.0+)?)?)?$")
_KINDS = {
    "YYYY-MM-DD": _ISO,
    "YYYY-MM (no day)": re.compile(r"\d{4}-\d{2}$"),
    "YYYY (year only)": re.compile(r"(19|20)\d{2}$"),
    "DD.MM.YYYY": re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}$"),
    "NN/NN/YYYY": re.compile(r"\d{1,2}[/-]\d{1,2}[/-]\d{4}$"),
    "DDMONYYYY": re.compile(r"\d{1,2}[ -]?[A-Za-z]{3}[ -]?\d{4}$"),
    "a number (Excel serial?)": re.compile(r"[2-6]\d{4}(\.0)?$"),
}
_FORMATS = {"YYYY-MM-DD": "%Y-%m-%d", "DD.MM.YYYY": "%d.%m.%Y"}
IMPUTE = {"first": 1, "mid": 15, "last": 0}


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read CSV, TSV or XLSX as text: ``;``, tabs, byte-order marks and stray blanks are fine; blank cells are missing.

    Raises
    ------
    InputError
        The file is not there, empty, or no table; two columns have one name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("patient_id;sex\nP1; f\n")
    ...     read_table(Path(folder, "a.csv")).values.tolist()
    [['P1', 'f']]
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        table = pd.read_excel(path, dtype=object)
        return _stripped(table.map(_cell_text), path)
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise InputError("the file is empty, expected a line of column names", where=str(path))
    separator = max("\t;,", key=lines[0].count)
    names = [n.strip().strip('"') for n in lines[0].split(separator)]
    doubled = next((n for n in names if n and names.count(n) > 1), None)
    if doubled:
        raise InputError(f"two columns are called `{doubled}`", where=str(path), hint="rename one")
    import io

    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"not a table: {str(error).strip()}", where=str(path)) from None
    return _stripped(table, path)


def _cell_text(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d")
    if hasattr(value, "isoformat"):
        return str(value.isoformat())[:10]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _stripped(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    table.columns = [str(c).strip() for c in table.columns]
    table = table.apply(lambda c: c.str.strip())
    table = table[(table != "").any(axis=1)].reset_index(drop=True)
    if not len(table):
        raise InputError("no rows below the column names", where=str(path))
    return table.mask(table == "")


def rename_adam(table: pd.DataFrame) -> pd.DataFrame:
    """Give ADSL variables our names; others stay as they are.

    Examples
    --------
    >>> rename_adam(pd.DataFrame(columns=["USUBJID", "TRTSDT", "AGE"])).columns.tolist()
    ['patient_id', 'infusion_date', 'AGE']
    """
    new: dict[str, str] = {}
    for column in table.columns:
        name = ADAM.get(str(column).upper(), str(column))
        new[column] = name if name not in table.columns or name == column else str(column)
    return table.rename(columns=new)


def read_patients(
    path: str | Path, *, day_first: bool | None = None, impute: str | None = None, excel_dates: bool = False
) -> pd.DataFrame:
    r"""Read a file with one row a patient: our column names or ADSL's, dates parsed, numbers as numbers.

    Parameters
    ----------
    path
        CSV, TSV or XLSX.
    day_first
        For dates such as 03/04/2017: True for 3 April, False for March 4. None: refused, as they may mean either.
    impute
        For dates without a day (2017-05): ``first``, ``mid`` (15th) or ``last`` day of the month. None: refused.
    excel_dates
        Take numbers such as 42865 as Excel's day numbers (1900 system).

    Returns
    -------
    The table; ``attrs["imputed"]`` maps a date column to the patients whose day was filled in, ``attrs["notes"]`` says
    what else was changed.

    Raises
    ------
    InputError
        Every fault of every date column, at once.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("USUBJID,TRTSDT,AGE\nP1,2017-05-02,61\n")
    ...     read_patients(Path(folder, "a.csv")).dtypes.astype(str).tolist()
    ['object', 'datetime64[ns]', 'int64']
    """
    if impute is not None:
        one_of(impute, IMPUTE, "impute", where="clinical.read_patients")
    table = rename_adam(read_table(path))
    has_columns(table.columns, ["patient_id"], where=str(path), error=InputError,
                hint="one row a patient; ADSL's USUBJID is understood")  # fmt: skip
    found, faults = dates(table, day_first=day_first, impute=impute, excel_dates=excel_dates, where=str(path))
    raise_all(faults)
    for column in found.columns.difference([*DATES, "patient_id"]):
        numbers = pd.to_numeric(found[column], errors="coerce")
        if numbers.notna().sum() == found[column].notna().sum() and found[column].notna().any():
            found[column] = numbers
    return found


def dates(
    table: pd.DataFrame, columns: Sequence[str] = DATES, *, day_first: bool | None = None, impute: str | None = None,
    excel_dates: bool = False, where: str = "patients",
) -> tuple[pd.DataFrame, list[InputError]]:  # fmt: skip
    """Parse date columns; return the table and every fault: mixed formats, ambiguous, partial or impossible dates.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["P1", "P2"], "pd_date": ["2017-05-02", "03/04/2018"]})
    >>> print(dates(table)[1][0])
    patients:pd_date: dates are written in two ways: YYYY-MM-DD (P1: 2017-05-02), NN/NN/YYYY (P2: 03/04/2018); \
write all as YYYY-MM-DD
    """
    table, faults = table.copy(), []
    imputed: dict[str, list[str]] = {}
    for name in [c for c in columns if c in table]:
        if pd.api.types.is_datetime64_any_dtype(table[name]):
            continue
        at, ids = f"{where}:{name}", table["patient_id"].astype(str)
        text = table[name].map(lambda v: None if v is None or v != v else str(v).strip())
        kinds = text.dropna().map(_kind)
        strange = kinds[kinds == ""]
        if len(strange):
            named = ", ".join(f"{ids[i]}: {text[i]!r}" for i in strange.index[:5])
            faults.append(InputError(f"found no date in {len(strange)} rows ({named})", where=at,
                                     hint="write dates as YYYY-MM-DD, and leave unknown ones blank"))  # fmt: skip
            continue
        partial = kinds[kinds.str.startswith(("YYYY-MM (", "YYYY ("))]
        full = kinds.drop(partial.index)
        if full.nunique() > 1:
            first = ", ".join(f"{k} ({ids[i]}: {text[i]})" for k, i in zip(full.drop_duplicates(),
                              full.drop_duplicates().index, strict=True))  # fmt: skip
            faults.append(InputError(f"dates are written in {('two', 'three')[full.nunique() > 2]} ways: {first}",
                                     where=at, hint="write all as YYYY-MM-DD"))  # fmt: skip
            continue
        fault = _parse(table, name, text, full, partial, ids, (day_first, impute, excel_dates), at)
        if fault:
            faults.append(fault)
        elif len(partial):
            imputed[name] = ids[partial.index].tolist()
    table.attrs["imputed"] = imputed
    return table, faults


def _kind(text: str) -> str:
    return next((k for k, pattern in _KINDS.items() if pattern.match(text)), "")


def _parse(
    table: pd.DataFrame, name: str, text: pd.Series, full: pd.Series, partial: pd.Series, ids: pd.Series, how: tuple,
    at: str,
) -> InputError | None:  # fmt: skip
    """Write the parsed column into the table, or return why it cannot be."""
    day_first, impute, excel_dates = how
    kind = full.iloc[0] if len(full) else "YYYY-MM-DD"
    if len(partial) and impute is None:
        i = partial.index[0]
        return InputError(f"{len(partial)} dates have no day ({ids[i]}: {text[i]})", where=at,
                          hint="say how to fill it in: impute='first', 'mid' or 'last'")  # fmt: skip
    if kind.startswith("NN/NN") and day_first is None:
        i = full.index[0]
        return InputError(f"{text[i]!r} of {ids[i]} may be day/month or month/day", where=at,
                          hint="write YYYY-MM-DD, or say day_first=True or False")  # fmt: skip
    if kind.startswith("a number") and not excel_dates:
        i = full.index[0]
        return InputError(f"found numbers ({ids[i]}: {text[i]}), expected dates; they may be Excel's day numbers",
                          where=at, hint="format the column as YYYY-MM-DD, or say excel_dates=True")  # fmt: skip
    values = text.copy()
    for i in partial.index:
        values[i] = _filled(text[i], impute, kind)
    read = _to_dates(values.dropna(), kind, day_first)
    wrong = read.index[read.isna()]
    if len(wrong):
        i, read_as = wrong[0], _as_read(kind, day_first)
        return InputError(f"{text[i]!r} of {ids[i]} is no day of the calendar as {read_as}", where=at)
    odd = read[(read.dt.year < 1900) | (read.dt.year > 2100)]
    if len(odd):
        return InputError(f"{text[odd.index[0]]!r} of {ids[odd.index[0]]} is in the year {odd.iloc[0].year}", where=at)
    table[name] = read.reindex(table.index)
    return None


def _as_read(kind: str, day_first: bool | None) -> str:
    return ("day/month/year" if day_first else "month/day/year") if kind.startswith("NN/NN") else kind


def _filled(text: str, impute: str | None, kind: str) -> str:
    year, month = (
        int(p)
        for p in (text.split("-") if "-" in text else (text, {"first": 1, "mid": 7, "last": 12}[impute or "mid"]))
    )
    first = pd.Timestamp(year, month, 1) if 1 <= month <= 12 else None
    if first is None:
        return text
    day = first.days_in_month if impute == "last" else IMPUTE[str(impute)]
    if kind == "DD.MM.YYYY":
        return f"{day:02d}.{month:02d}.{year}"
    return f"{year}-{month:02d}-{day:02d}"


def _to_dates(values: pd.Series, kind: str, day_first: bool | None) -> pd.Series:
    if kind.startswith("a number"):
        return pd.Timestamp(1899, 12, 30) + pd.to_timedelta(values.astype(float), unit="D")
    if kind.startswith("NN/NN"):
        values = values.str.replace("-", "/")
        return pd.to_datetime(values, format="%d/%m/%Y" if day_first else "%m/%d/%Y", errors="coerce")
    if kind == "DDMONYYYY":
        values = values.str.replace(r"[ -]", "", regex=True).str.title()
        return pd.to_datetime(values, format="%d%b%Y", errors="coerce")
    values = values.str[:10] if kind == "YYYY-MM-DD" else values
    return pd.to_datetime(values, format=_FORMATS[kind], errors="coerce")
