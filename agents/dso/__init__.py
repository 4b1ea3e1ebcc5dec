"""The distribution system operator: envelopes, plans, curtailment."""
