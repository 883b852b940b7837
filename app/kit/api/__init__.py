"""Routes, paging, entity tags, problems, and what surrounds each request. Nothing of SQL."""
