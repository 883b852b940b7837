"""Tables and schemas of owned resources. No I/O."""
