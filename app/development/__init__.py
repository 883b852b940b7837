"""``just serve``: the API with reload and a database of its own. Production never uses it."""
