"""Adversarial training, and anomaly detection by reconstruction."""
