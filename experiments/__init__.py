"""What we ask of it: scenarios, runs, metrics, reports, the command line."""

if __name__ != "cosim.experiments":
    raise ImportError(f"import this package as cosim.experiments, not as {__name__}")
