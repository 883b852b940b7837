"""An owner-scoped task API on PostgreSQL."""
