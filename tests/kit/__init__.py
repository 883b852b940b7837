"""What a model declares holds, for any resource."""
