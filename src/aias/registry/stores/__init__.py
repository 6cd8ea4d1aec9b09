"""Where artifacts lie. Each member keeps the promise in `contract.py`."""
