"""Keys with which vendors' own programs call: what one is, and what is done with them."""
