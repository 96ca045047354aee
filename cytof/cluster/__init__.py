"""AnnData -> labels in obs: FlowSOM, its map alone, PhenoGraph, and how far two clusterings agree."""

from cytof.cluster._crosstab import crosstab
from cytof.cluster._flowsom import flowsom
from cytof.cluster._lookup import at
from cytof.cluster._map_new import map_array, map_new
from cytof.cluster._model import Model, load_model, model, save_model
from cytof.cluster._phenograph import phenograph
from cytof.cluster._som import Training, som

__all__ = [
    "Model", "Training", "at", "crosstab", "flowsom", "load_model", "map_array", "map_new", "model", "phenograph",
    "save_model", "som",
]  # fmt: skip
