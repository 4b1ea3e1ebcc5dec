"""Prosumers: the population, its cohorts, and their strategies."""
