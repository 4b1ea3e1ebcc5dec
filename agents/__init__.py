"""Who decides: prosumers, operator, marketplace and their strategies."""

if __name__ != "cosim.agents":
    raise ImportError(f"import this package as cosim.agents, not as {__name__}")
