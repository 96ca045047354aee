"""Small made-up tables and the figures drawn from them: the reference pictures. As a script: draws them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cytof import plot

FOLDER = Path(__file__).with_name("reference")
VISITS = ["2mo", "1yr", "5yr"]


def profile() -> pd.DataFrame:
    value = np.add.outer(np.arange(4), np.arange(5)) % 5 / 4
    return pd.DataFrame({
        "cluster": np.repeat(list("1234"), 5), "marker": ["CD4", "CD8", "Ki67", "PD-1", "CCR7"] * 4,
        "value": value.ravel(), "frequency": np.repeat([0.4, 0.3, 0.2, 0.1], 5),
        "class": ["type", "type", "state", "state", "type"] * 4, "name": np.repeat(["CD8 Tem", "", "Tcm", ""], 5),
    })  # fmt: skip


def trees() -> pd.DataFrame:
    rows = [("cluster", 0, p, h) for p, h in ((0, 0), (0, 0.5), (1, 0.5), (1, 0))]
    rows += [("marker", 0, p, h) for p, h in ((2, 0), (2, 1), (3, 1), (3, 0))]
    return pd.DataFrame(rows, columns=["axis", "line", "place", "height"])


def cells() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    k = rng.integers(0, 3, 900)
    place = np.array([[0, 0], [6, 1], [3, 5]])[k] + rng.normal(size=(900, 2))
    return pd.DataFrame({"x": place[:, 0], "y": place[:, 1], "flowsom": (k + 1).astype(str)})


def distributions(groups: tuple[str, ...] = ("2mo", "1yr", "5yr")) -> pd.DataFrame:
    q = (np.arange(200) + 0.5) / 200
    parts = [pd.DataFrame({"group": g, "marker": m, "n": 1000 * (i + 1), "value": q ** (1 + i) * (3 + j)})
             for j, m in enumerate(("Ki67", "GZMB")) for i, g in enumerate(groups)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def contrasts(contrast: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"marker": ["Ki67", "GZMB"], "contrast": contrast, "p": [0.2, 1e-9], "cliffs_delta": [0.1, -0.6]}
    )


def shares() -> pd.DataFrame:
    fraction = np.array([[0.6, 0.3, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]])
    return pd.DataFrame({"timepoint": np.repeat(VISITS, 3), "cluster": list("123") * 3, "fraction": fraction.ravel()})


def nodes() -> tuple[pd.DataFrame, pd.DataFrame]:
    x, y, n = [0.0, 1, 2, 1], [0.0, 0, 0, 1], [100, 30, 5, 60]
    each = pd.DataFrame({"node": range(4), "x": x, "y": y, "n": n, "cluster": list("1122")})
    table = each.loc[np.repeat(range(4), 2)].assign(marker=["CD4", "CD8"] * 4, value=np.linspace(1, 0.2, 8))
    return table, pd.DataFrame({"x0": [0.0, 1, 1], "y0": [0.0, 0, 0], "x1": [1.0, 2, 1], "y1": [0.0, 0, 1]})


FIGURES: dict[str, Callable[[Axes], Axes]] = {
    "alluvial": lambda ax: plot.alluvial(shares(), ax=ax),
    "frequencies": lambda ax: plot.frequencies(shares(), x="timepoint", ax=ax),
    "heatmap": lambda ax: plot.heatmap(profile(), trees=trees(), ax=ax),
    "map": lambda ax: plot.map(cells(), ax=ax),
    "split_violins": lambda ax: plot.split_violins(
        distributions(("CAR T", "Host T")), contrasts("CAR+ vs CAR-"), ax=ax
    ),
    "tree": lambda ax: plot.tree(*nodes(), ax=ax),
    "stream": lambda ax: plot.stream(shares(), fill="cluster", kind="clusters", ax=ax),
    "violins": lambda ax: plot.violins(distributions(), contrasts("5yr vs 2mo"), marker="GZMB", ax=ax),
}


def picture(name: str) -> np.ndarray:
    """Return one figure as RGB, 110 x 70 mm at 90 dpi."""
    with plot.style():
        figure = Figure(figsize=plot.millimetres(110, 70), dpi=90, layout="constrained")
        FIGURES[name](figure.subplots())
        canvas = FigureCanvasAgg(figure)
        for _ in range(4):
            figure.get_layout_engine().execute(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


if __name__ == "__main__":
    from PIL import Image

    FOLDER.mkdir(exist_ok=True)
    for name in FIGURES:
        Image.fromarray(picture(name)).quantize(64, dither=Image.Dither.NONE).save(
            FOLDER / f"{name}.png", optimize=True
        )
