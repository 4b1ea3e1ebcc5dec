"""How prosumers negotiate room: one strategy a file, the contract in `strategy.py`."""
