"""A body that is said to be JSON, and the problem document in answer to a bad request."""

import httpx

JSON = {"Content-Type": "application/json"}


def assert_problem(response: httpx.Response, status: int, *pointers: str) -> None:
    """Check that a response is a problem document, about these parts of the request."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert [error["pointer"] for error in problem.get("errors", [])] == list(pointers)
