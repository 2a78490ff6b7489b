"""What every room stands on: checks, array types, a fork-safe lock, an atomic writer, a console, plot style.

In: single arguments, arrays, files. Out: the same, checked or written whole.
May import: no other room, and not the core.
"""
