"""jaxdl: compiled training steps for deep learning in JAX."""
