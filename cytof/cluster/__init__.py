"""AnnData -> labels in obs: FlowSOM, PhenoGraph, Leiden, names, sub-clusters, stability, agreement of two."""

from cytof.cluster._crosstab import crosstab
from cytof.cluster._flowsom import flowsom
from cytof.cluster._leiden import leiden
from cytof.cluster._lookup import at
from cytof.cluster._map_new import map_array, map_new
from cytof.cluster._merge import merge
from cytof.cluster._model import Model, load_model, model, save_model
from cytof.cluster._name import name, signature_scores
from cytof.cluster._phenograph import phenograph
from cytof.cluster._signs import marker_thresholds, score_cells
from cytof.cluster._som import Training, som
from cytof.cluster._stability import stability
from cytof.cluster._subcluster import subcluster
from cytof.cluster._tree import tree

__all__ = [
    "Model", "Training", "at", "crosstab", "flowsom", "leiden", "load_model", "map_array", "map_new",
    "marker_thresholds", "merge", "model", "name", "phenograph", "save_model", "score_cells", "signature_scores",
    "som", "stability", "subcluster", "tree",
]  # fmt: skip
