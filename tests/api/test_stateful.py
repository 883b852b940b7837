"""Several owners do anything in any order, and the API answers as a model in memory does."""

from sqlalchemy import URL

from tests.support.server import Server
from tests.support.stateful import explore


def test_owners_see_what_they_did_and_nothing_of_each_other(
    server: Server, database: URL, deployment: str
) -> None:
    # Each deployment has numbers of its own: together they try as much as one would.
    explore(server, database, number=deployment, examples=10)
