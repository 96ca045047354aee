"""AnnData -> maps in obsm: t-SNE, cells placed on a map that exists, UMAP."""

from cytof.embed._optimise import Schedule
from cytof.embed._place import place
from cytof.embed._tsne import tsne
from cytof.embed._umap import umap

__all__ = ["Schedule", "place", "tsne", "umap"]
