"""The array types of the package, each said once.

Row numbers are int64 outside the core, whatever the core holds them in. Labels and keys become codes of the
smallest signed integer type that holds them; weights are float32 or float64, scores and probabilities
float64.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CodeArray", "FloatArray", "IndexArray", "WeightArray"]

IndexArray: TypeAlias = npt.NDArray[np.int64]
"""Row numbers, positions, counts."""

CodeArray: TypeAlias = (
    npt.NDArray[np.int8] | npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
)
"""The number of each row's label, key or group."""

WeightArray: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]
"""Weights as the core takes them, without a lossy cast."""

FloatArray: TypeAlias = npt.NDArray[np.float64]
"""Scores, priorities, probabilities, sums."""
