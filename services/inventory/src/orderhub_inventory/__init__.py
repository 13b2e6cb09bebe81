"""Inventory: vendors, products, stock, individual animals, and what orders hold of them."""
