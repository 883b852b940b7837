"""What is stored: one class for each resource."""
