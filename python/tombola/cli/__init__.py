"""The command `tombola`: demo, run, inspect, train and sweep.

Importing this costs little; torch, h5py and matplotlib are imported by the command that needs them.

In: what is typed. Out: what `experiments` does with it, on the console.
May import: every room. Nothing imports it.
"""

from .app import app, main

__all__ = ["app", "main"]
