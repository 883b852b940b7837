"""Who is asking, and that nobody reaches what is somebody else's."""
