"""The machinery of owned resources. It imports nothing of the application."""
