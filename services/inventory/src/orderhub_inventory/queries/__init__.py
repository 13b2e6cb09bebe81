"""Reads that bypass the write model: the catalogue's pages, and the checks that `orderhub check` runs."""

from orderhub_inventory.queries.checks import CHECKS, Check, findings

__all__ = ["CHECKS", "Check", "findings"]
