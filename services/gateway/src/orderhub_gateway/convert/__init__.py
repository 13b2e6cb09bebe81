"""Between the public shapes and the services' messages; nothing is decided here.

An empty string of a message is null where the public shape says that there may be none.
"""
