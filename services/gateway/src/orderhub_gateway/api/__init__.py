"""The public routes: decode, call the owning service, encode. One module per area of the API."""
