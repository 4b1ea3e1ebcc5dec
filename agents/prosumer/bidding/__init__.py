"""Bidding strategies: the contract, one strategy a file, and the check that is shipped to users."""
