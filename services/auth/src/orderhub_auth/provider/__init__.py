"""The OpenID Provider: relying parties, what browsers do on the way to a code, and what clients ask for."""
