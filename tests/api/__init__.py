"""What the API answers: right, wrong, late and odd requests."""
