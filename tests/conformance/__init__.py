"""A package, so that the provider of its tests ends with the last of them and not with the run: other tests of the same
worker have event loops of their own, and gRPC's is one for the process.
"""
