"""The command line's entry: `cosim` or `python -m cosim`."""

import sys


def main() -> None:
    """Run the command line; importing it is all that a `--help` costs."""
    from cosim.experiments.cli import app

    sys.exit(app())


if __name__ == "__main__":
    main()
