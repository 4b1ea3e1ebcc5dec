"""Envelope policies: the contract, one policy a file, and the check that is shipped to users."""
