"""The options of each kind of problem; no module here imports JAX."""
