"""Several networks for one task."""
