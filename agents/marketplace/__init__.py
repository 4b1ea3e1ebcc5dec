"""The marketplace: admission and clearing."""
