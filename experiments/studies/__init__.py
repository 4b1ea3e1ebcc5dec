"""Studies: one readable file per question, run by ``cosim study NAME``."""
