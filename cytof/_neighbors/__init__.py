"""Nearest neighbours, searched once and shared by PhenoGraph, t-SNE, UMAP and Leiden: ``neighbors(adata, k=30)``."""

from cytof._neighbors._graph import neighbors

__all__ = ["neighbors"]
