"""HTTP: routes, identity and errors, nothing of SQL."""
