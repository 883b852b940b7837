"""The same API written in other ways, on the same table."""
