"""Speed, measured beside the alternatives in one run: ``python -m benchmarks [name]``."""
