"""A name or a path -> a file of ``panels/``, in the repository or in the installed wheel."""

from __future__ import annotations

from pathlib import Path

from cytof._check import nearest
from cytof.errors import PanelError

__all__ = ["find", "folder", "names"]


def folder() -> Path:
    """Return the folder of shipped panels: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "panels"
    return shipped if shipped.is_dir() else package.parent / "panels"


def names(suffix: str = ".csv") -> list[str]:
    """Return the names of the shipped files with this suffix, sorted.

    Examples
    --------
    >>> "car_t_41" in names()
    True
    """
    return sorted(
        p.name.removesuffix(suffix)
        for p in folder().glob(f"*{suffix}")
        if suffix != ".csv" or not p.name.endswith(".subsets.csv")
    )


def find(name: str | Path, suffix: str = ".csv") -> Path:
    """Return the file for a path (used as it is) or for the name of a shipped panel.

    Raises
    ------
    PanelError
        Neither is there; the shipped names and the nearest one are listed.
    """
    path = Path(name)
    if path.is_file():
        return path
    looks_like_path = path.suffix != "" or len(path.parts) > 1
    shipped = folder() / f"{name}{suffix}"
    if not looks_like_path and shipped.is_file():
        return shipped
    what = "no such file" if looks_like_path else f"no file and no shipped panel `{name}{suffix}`"
    raise PanelError(
        what,
        where=str(name),
        hint=" ".join([nearest(str(name), names(suffix)), f"shipped: {', '.join(names(suffix)) or 'none'}"]).strip(),
    )
