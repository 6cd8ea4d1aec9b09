"""Trees as their libraries write them down → `core.forest`; no library is needed to read them."""
