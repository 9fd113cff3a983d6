"""Training methods: one file each, grouped by family."""
