"""`orderhub load`: customers of its own, orders of every kind, and proof that each accepted one was settled."""
