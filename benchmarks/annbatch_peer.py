"""annbatch as a peer. It asks for Python 3.12, so that nothing here needs tombola or torch."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["annbatch_batches", "zarr_store"]


def _packages() -> tuple[Any, Any, Any]:
    annbatch, anndata, zarr = map(importlib.import_module, ("annbatch", "anndata", "zarr"))
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    return annbatch, anndata, zarr


def zarr_store(original: Path) -> Path:
    """Return annbatch's shuffled store of a file, with its defaults; it is written if it is not there."""
    annbatch, _, _ = _packages()
    path = original.with_name(f"annbatch-{original.stem}.zarr")
    if not path.exists():
        annbatch.DatasetCollection(str(path)).add_adatas([str(original)])
    return path


def annbatch_batches(path: Path, form: str) -> Iterator[Any]:
    """Yield the batches of an epoch as SciPy's matrices, or "dense" arrays made of them.

    Batches of 64, 16,384 rows at once, stretches of 512 rows: annbatch's defaults but for the batch, of which
    it takes 1.
    """
    annbatch, anndata, zarr = _packages()

    def load(group: Any) -> Any:
        return anndata.AnnData(X=anndata.io.sparse_dataset(group["X"]))

    loader = annbatch.Loader(batch_size=64, chunk_size=512, preload_nchunks=32, shuffle=True)
    collection = annbatch.DatasetCollection(zarr.open(str(path), mode="r"))
    for batch in loader.use_collection(collection, load_adata=load):
        yield batch["X"].toarray() if form == "dense" else batch["X"]
