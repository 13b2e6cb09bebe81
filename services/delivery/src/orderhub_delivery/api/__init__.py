"""The gRPC side: decode and check, authorise, call, encode."""

from orderhub_delivery.api.servicer import DeliveryServicer

__all__ = ["DeliveryServicer"]
