"""What orders asks of inventory: products that its own projection does not have yet."""

from __future__ import annotations

from collections.abc import Sequence

from orderhub_chassis.calls import Call, service_caller
from orderhub_chassis.grpc.client import Peer
from orderhub_contracts.events.v1.events_pb2 import AnimalChanged, ProductChanged, VendorChanged
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_contracts.inventory.v1 import inventory_pb2_grpc
from orderhub_contracts.orders.v1.orders_pb2 import PlaceOrderRequest

from orderhub_orders.store import Loaded

CALL = Call(caller=service_caller("orders"))


class Inventory:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._stub = inventory_pb2_grpc.InventoryServiceStub(peer.channel)

    async def snapshots(self, requests: Sequence[PlaceOrderRequest]) -> Loaded:
        """Snapshots of all that the requests name. Raises Unavailable."""
        keys = [
            pb.ProductKey(product_id=x.product_id, vendor_id=x.vendor_id, sku=x.sku, animal_id=x.animal_id)
            for request in requests
            for x in request.lines
        ]
        answer = await self._peer.call(
            self._stub.BatchGetProducts, pb.BatchGetProductsRequest(keys=keys), call=CALL
        )
        loaded = Loaded()
        for v in answer.vendors:
            loaded.vendors[v.id] = VendorChanged(
                vendor_id=v.id, name=v.name, address=v.address, version=v.version
            )
        for p in answer.products:
            loaded.products[p.id] = ProductChanged(
                product_id=p.id, vendor_id=p.vendor_id, sku=p.sku, title=p.title, kind=p.kind, price=p.price,
                status=p.status, version=p.version, facts=p.facts,
            )  # fmt: skip
        for a in answer.animals:
            loaded.animals[a.id] = AnimalChanged(
                animal_id=a.id, product_id=a.product_id, vendor_id=a.vendor_id, status=a.status, version=a.version,
                facts=a.facts,
            )  # fmt: skip
        return loaded
