"""What every room stands on: checks, array types, one fork-safe lock, one atomic writer, plot style.

In: single arguments, arrays, files. Out: the same, checked or written whole.
May import: no other room, and not the core.
"""
