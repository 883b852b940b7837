"""What those who call the API build on: openapi.json, generated clients, browsers."""
