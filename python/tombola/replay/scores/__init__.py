"""What a row is worth: scores as plain arrays, by kernels that Numba compiles."""
