"""What a request costs here, next to what it costs when written in other ways. See README.md."""
