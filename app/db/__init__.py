"""How rows are stored: connections and statements, nothing of HTTP."""
