"""AnnData -> labels in obs: FlowSOM, its map alone, PhenoGraph, and how far two clusterings agree."""

from cytof.cluster._crosstab import crosstab
from cytof.cluster._flowsom import flowsom
from cytof.cluster._lookup import at
from cytof.cluster._phenograph import phenograph
from cytof.cluster._som import Training, som

__all__ = ["Training", "at", "crosstab", "flowsom", "phenograph", "som"]
