"""The commands run as the README says, and lose nothing whatever ends them."""
