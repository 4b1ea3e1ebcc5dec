"""Feeders, their AC power flow, its linear views, and what in a state breaks a limit."""
