"""AnnData -> AnnData: scale, features, equal draws, joining results of a part back to the whole, the log of steps."""

from cytof.transform._align import ALIGNED, align_batches, batch_is
from cytof.transform._arcsinh import arcsinh
from cytof.transform._cells import equal_draw, equal_weight, merge_cells
from cytof.transform._features import features
from cytof.transform._steps import record

__all__ = [
    "ALIGNED",
    "align_batches",
    "arcsinh",
    "batch_is",
    "equal_draw",
    "equal_weight",
    "features",
    "merge_cells",
    "record",
]
