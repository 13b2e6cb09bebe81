"""Auth's gRPC side: decode, authorise, call, encode."""
