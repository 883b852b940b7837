"""What the tests are made of: servers, databases, clients, and what is right of a response."""
