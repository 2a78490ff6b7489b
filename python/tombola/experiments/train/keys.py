"""What each key of train.yaml and sweep.yaml means; what it may be and is by default, the models say.

`key_table` puts both together as a table for readers, in the order of the model.
"""

from collections.abc import Mapping

from pydantic import BaseModel

__all__ = ["SWEEP_KEYS", "TRAIN_KEYS", "key_table"]

TRAIN_KEYS: Mapping[str, str] = {
    "files": "what to train on; of a folder its `*.h5ad`",
    "labels": "obs columns to learn: categories, text, or integers of few values",
    "x": "the matrix",
    "join": "where files differ in var names: refuse, or keep those that all have",
    "log1p": "scale rows to 10,000 and take log(1 + x): for raw counts",
    "total_data": "train on so much; rows of a smaller amount are among those of a larger one",
    "validation_files": "what to validate on, instead of a share of each file's rows",
    "validation_fraction": "that share, a tenth where neither is given; 0 validates on nothing",
    "validation_rows": "validate on at most so many rows",
    "strategy": "which rows form a batch",
    "block_size": "consecutive rows that stay together",
    "batch_size": "rows of a batch",
    "fetch_factor": "batches that are read at once: the fetch window",
    "drop_last": "leave out a last batch that is not full",
    "weights": "of `block_weighted`: a column of numbers; without it that is `class_balanced`",
    "classes": "of `class_balanced`: what to balance; the labels, where not given",
    "series": "of `series_round_robin`: what tells series apart",
    "buckets": "of `bucketed`: what tells buckets apart",
    "n_buckets": "of `bucketed`: how many to make of the column's values",
    "min_count_baseline": "added to class counts before they become weights",
    "chunk_size": "of a mini epoch; `auto` goes by the memory that is free",
    "shuffle_files": "each full epoch has files in an order of its own; else in that of their names",
    "distribute": "what ranks share under torchrun: the rows of each mini epoch, or its files",
    "epochs": "full passes over all files",
    "seed": "of everything",
    "model": "the classifier",
    "hidden": "of `mlp`: widths of its hidden layers",
    "dropout": "of `mlp`: share of hidden units that a step leaves out",
    "optimizer": "`sgd` has a momentum of 0.9",
    "learning_rate": "of the optimizer; rows are scaled to a typical length of 1",
    "weight_decay": "of the optimizer",
    "schedule": "whether the learning rate falls as half a cosine to 0",
    "accumulate": "batches whose gradients make one step",
    "clip_grad_norm": "the gradients' largest norm",
    "autocast": "a type to compute in",
    "on_nonfinite_loss": "where the loss is NaN or infinite",
    "monitor": "what is best: of several labels each has its own figures",
    "patience": "stop after so many validations without a better one",
    "checkpoint_every": "save after so many batches of a mini epoch, too",
    "validate_every": "validate after so many batches of a mini epoch, too",
    "keep_last": "checkpoints to keep, beside the best",
    "on_missing_shard": "where a file is gone",
    "on_bad_shard": "where a file cannot be read",
    "on_full_disk": "where a checkpoint cannot be written",
    "device": "where to compute; under torchrun `cuda` is each process's own",
    "tensorboard": "write for TensorBoard; `auto`: if it is installed",
    "output": "where to write",
}

SWEEP_KEYS: Mapping[str, str] = {
    "train": "what is not searched",
    "search": "what is: a list of values, a range, or one value, which is then fixed",
    "trials": "how many in all; those of an earlier call count",
    "pruner": "whether trials below the median at the same share of training end",
    "seed": "of the choice; data and weights go by the training's",
    "storage": "of the study; by default SQLite in the output",
    "output": "where to write",
}


def key_table(model: type[BaseModel], meanings: Mapping[str, str]) -> str:
    """Return a Markdown table of a model's keys: what each is by default, may be, and means.

    Raises
    ------
    KeyError
        If a key has no meaning.
    """
    lines = ["| key | default | allowed | what it is |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _text(field.default)
        allowed = str(field.description).replace("|", "\\|")
        lines.append(f"| `{name}` | {default} | {allowed} | {meanings[name]} |")
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"
