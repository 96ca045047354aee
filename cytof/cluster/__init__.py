"""AnnData -> labels in obs: FlowSOM, its map alone, PhenoGraph, and how far two clusterings agree."""

from cytof.cluster._crosstab import crosstab
from cytof.cluster._flowsom import flowsom
from cytof.cluster._phenograph import phenograph
from cytof.cluster._som import som

__all__ = ["crosstab", "flowsom", "phenograph", "som"]
