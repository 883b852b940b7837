"""Statements, transactions and connections. Nothing of HTTP."""
