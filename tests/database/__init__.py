"""What the API asks of PostgreSQL, and what it does when that fails."""
