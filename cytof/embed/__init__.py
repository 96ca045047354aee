"""AnnData -> maps in obsm: t-SNE."""

from cytof.embed._tsne import tsne

__all__ = ["tsne"]
