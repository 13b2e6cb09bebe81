"""`orderhub check`: what always has to be true of the data, read from the base tables of all services.

Each check is a row of a table: a name, a sentence, and the statement or function that finds the rows that break it.
"""
