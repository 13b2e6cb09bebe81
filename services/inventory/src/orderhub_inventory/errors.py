"""What inventory refuses, each with its stable code."""

from __future__ import annotations

from uuid import UUID

from orderhub_chassis.errors import Conflict, FieldError, NotFound, PreconditionFailed, Unprocessable


class VendorNotFound(NotFound):
    code = "inventory.vendor_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such vendor")


class ProductNotFound(NotFound):
    code = "inventory.product_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such product")


class AnimalNotFound(NotFound):
    code = "inventory.animal_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such animal")


class SkuTaken(Conflict):
    code = "inventory.sku_taken"

    def __init__(self, sku: str, product_id: UUID) -> None:
        super().__init__(f"the SKU {sku} is taken by product {product_id}")


class VendorNameTaken(Conflict):
    code = "inventory.vendor_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a vendor called {name} already")


class VersionMismatch(PreconditionFailed):
    def __init__(self, asked: int, version: int) -> None:
        super().__init__(f"the version is {version}, not {asked}")


class BelowReserved(Unprocessable):
    code = "inventory.below_reserved"

    def __init__(self, on_hand: int, reserved: int, pointer: str) -> None:
        words = f"{on_hand} would be on hand, but {reserved} are reserved by orders"
        super().__init__(words, errors=(FieldError(pointer, self.code, words),))


class TooMuchStock(Unprocessable):
    code = "inventory.stock_too_large"

    def __init__(self, most: int, pointer: str) -> None:
        words = f"more than {most} cannot be on hand"
        super().__init__(words, errors=(FieldError(pointer, self.code, words),))


class CountedByAnimals(Unprocessable):
    code = "inventory.counted_by_animals"

    def __init__(self) -> None:
        super().__init__("the stock of individual animals follows the animals themselves")


class NoIndividuals(Unprocessable):
    code = "inventory.not_individual"

    def __init__(self) -> None:
        super().__init__("only products of kind individual have animals of their own")


class WrongAnimalStatus(Conflict):
    code = "inventory.wrong_animal_status"

    def __init__(self, status: str, needed: str) -> None:
        super().__init__(f"the animal is {status}; this needs one that is {needed}")
