"""Data sets as arrays, compiled samplers, evaluation protocols."""
