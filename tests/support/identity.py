"""How a client says who it speaks for, as app/api/identity.py has it."""


def headers(owner: str) -> dict[str, str]:
    """Return the headers of a request that an owner makes."""
    return {"X-User-ID": owner}
