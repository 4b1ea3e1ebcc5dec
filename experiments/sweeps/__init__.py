"""Sweeps: one scenario over values of its settings and over seeds, every case an ordinary run directory."""
