"""This project, with tasks that are sorted by their title too, for which there is no index."""

from app.models.task import Task

Task.sortable_unindexed = ("title",)

from app.main import create_app  # noqa: E402 - the routes are made of what tasks declare

app = create_app()
