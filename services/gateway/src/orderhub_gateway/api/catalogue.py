"""Vendors, products, stock and animals."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET
from orderhub_chassis.errors import FieldError, Unprocessable
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, Flag, FlagFilter, IdFilter, Limit, TextFilter
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import (
    HttpRequest,
    change,
    context_of,
    etag,
    id_text,
    if_version,
    page,
    page_request,
    parts_of,
    peers_of,
)
from orderhub_gateway.convert import catalogue as convert
from orderhub_gateway.errors import BadRequest, PreconditionRequired, UnsupportedContent
from orderhub_gateway.responses import Json
from orderhub_gateway.schemas.catalogue import (
    AddAnimal,
    Animal,
    ChangeStock,
    CreateProduct,
    ImportReport,
    Product,
    Sort,
    StatusFilter,
    UpdateProduct,
    UpdateVendor,
    Vendor,
)
from orderhub_gateway.schemas.common import Page, ProductKind

KindFilter = Annotated[ProductKind | None, QueryParameter()]
StatusChoice = Annotated[
    StatusFilter,
    QueryParameter(description="Archived ones are listed for their vendor only."),
]
SortChoice = Annotated[Sort, QueryParameter()]


class RowsRefused(Unprocessable):
    """Nothing was imported."""

    code = "import.rows_refused"


@get("/vendors/{vendor_id:uuid}", operation_id="getVendor")
async def get_vendor(request: HttpRequest, vendor_id: FromPath[UUID]) -> Response[Vendor]:
    """One vendor."""
    inventory = peers_of(request).inventory
    found = await inventory(inventory.stub.GetVendor, pb.GetVendorRequest(id=str(vendor_id)))
    return Json(convert.vendor(found), 200, [etag(found.version)])


@patch("/vendors/me", dto=JsonBody[UpdateVendor], return_dto=None, operation_id="updateVendor")
async def update_vendor(request: HttpRequest, data: JSONBody[UpdateVendor]) -> Response[Vendor]:
    """Change the caller's own vendor; with If-Match only the version that was seen."""
    inventory = peers_of(request).inventory
    message = convert.to_update_vendor(data, if_version(request) or 0)
    found, headers = await change(request, inventory, inventory.stub.UpdateVendor, message, data)
    return Json(convert.vendor(found), 200, [*headers, etag(found.version)])


@get("/products", operation_id="listProducts")
async def list_products(
    request: HttpRequest,
    q: TextFilter = None,
    vendor_id: IdFilter = None,
    species: TextFilter = None,
    kind: KindFilter = None,
    in_stock: FlagFilter = None,
    status: StatusChoice = "active",
    sort: SortChoice = "-created",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Page[Product]]:
    """Search the catalogue."""
    inventory = peers_of(request).inventory
    message = pb.ListProductsRequest(
        page=page_request(limit, cursor),
        q=q or "",
        vendor_id=id_text(vendor_id),
        species=species or "",
        kind=kind or "",
        in_stock=in_stock,
        status=status,
        sort=sort,
    )
    return Json(page(await inventory(inventory.stub.ListProducts, message), convert.product))


@post(
    "/products", dto=JsonBody[CreateProduct], return_dto=None, operation_id="createProduct", status_code=201
)
async def create_product(request: HttpRequest, data: JSONBody[CreateProduct]) -> Response[Product]:
    """Add a product; its SKU is unique per vendor, whatever the case."""
    inventory = peers_of(request).inventory
    message = convert.to_create_product(data)
    made, headers = await change(request, inventory, inventory.stub.CreateProduct, message, data)
    location = (b"location", b"/api/v1/products/" + made.id.encode())
    return Json(convert.product(made), 201, [*headers, location, etag(made.version)])


@get("/products/{product_id:uuid}", operation_id="getProduct")
async def get_product(request: HttpRequest, product_id: FromPath[UUID]) -> Response[Product]:
    """One product."""
    inventory = peers_of(request).inventory
    found = await inventory(inventory.stub.GetProduct, pb.GetProductRequest(id=str(product_id)))
    return Json(convert.product(found), 200, [etag(found.version)])


@patch(
    "/products/{product_id:uuid}",
    dto=JsonBody[UpdateProduct], return_dto=None, operation_id="updateProduct",
)  # fmt: skip
async def update_product(
    request: HttpRequest, product_id: FromPath[UUID], data: JSONBody[UpdateProduct]
) -> Response[Product]:
    """Change a product; with If-Match only the version that was seen."""
    inventory = peers_of(request).inventory
    message = convert.to_update_product(data, str(product_id), if_version(request) or 0)
    found, headers = await change(request, inventory, inventory.stub.UpdateProduct, message, data)
    return Json(convert.product(found), 200, [*headers, etag(found.version)])


@delete("/products/{product_id:uuid}", operation_id="archiveProduct", status_code=200)
async def archive_product(request: HttpRequest, product_id: FromPath[UUID]) -> Response[Product]:
    """Archive a product: orders keep it, nobody can order it any more."""
    inventory = peers_of(request).inventory
    message = pb.ArchiveProductRequest(id=str(product_id), if_version=if_version(request) or 0)
    found, headers = await change(request, inventory, inventory.stub.ArchiveProduct, message)
    return Json(convert.product(found), 200, [*headers, etag(found.version)])


@post("/products/import", operation_id="importProducts", status_code=200)
async def import_products(
    request: HttpRequest, partial: Flag = False, vendor_id: IdFilter = None
) -> Response[ImportReport]:
    """Import a CSV file. One bad row stops all, unless `partial`; every bad row is named."""
    settings = parts_of(request).settings
    message = pb.ImportProductsRequest(csv=await _csv(request), partial=partial, vendor_id=id_text(vendor_id))
    inventory = peers_of(request).inventory
    last = pb.ImportProgress()
    async for progress in inventory.upstream.stream(
        inventory.stub.ImportProducts, message, timeout=settings.import_timeout.total_seconds()
    ):
        last = progress
    report = convert.import_report(last)
    if report.errors and not last.applied:
        raise _rows_refused(report)
    return Json(report)


@post(
    "/products/{product_id:uuid}/stock",
    dto=JsonBody[ChangeStock], return_dto=None, operation_id="changeStock", status_code=200,
)  # fmt: skip
async def change_stock(
    request: HttpRequest, product_id: FromPath[UUID], data: JSONBody[ChangeStock]
) -> Response[Product]:
    """Change the stock by `delta`, or `set` it: then If-Match is needed, as orders come in between."""
    version = if_version(request)
    if data.set is not UNSET and version is None:
        raise PreconditionRequired
    message = pb.ChangeStockRequest(
        product_id=str(product_id),
        set=None if data.set is UNSET else data.set,
        delta=None if data.delta is UNSET else data.delta,
        reason=data.reason,
        release_quarantine=data.release_quarantine,
        if_version=version or 0,
    )
    inventory = peers_of(request).inventory
    found, headers = await change(request, inventory, inventory.stub.ChangeStock, message, data)
    return Json(convert.product(found), 200, [*headers, etag(found.version)])


@get("/products/{product_id:uuid}/animals", operation_id="listAnimals")
async def list_animals(
    request: HttpRequest, product_id: FromPath[UUID], limit: Limit = 50, cursor: Cursor = None
) -> Response[Page[Animal]]:
    """The animals of a product; everybody sees those that can be bought, its vendor all."""
    inventory = peers_of(request).inventory
    message = pb.ListAnimalsRequest(product_id=str(product_id), page=page_request(limit, cursor))
    return Json(page(await inventory(inventory.stub.ListAnimals, message), convert.animal))


@post(
    "/products/{product_id:uuid}/animals",
    dto=JsonBody[AddAnimal], return_dto=None, operation_id="addAnimal", status_code=201,
)  # fmt: skip
async def add_animal(
    request: HttpRequest, product_id: FromPath[UUID], data: JSONBody[AddAnimal]
) -> Response[Animal]:
    """Add an animal to a product of kind individual."""
    message = pb.AddAnimalRequest(
        product_id=str(product_id), facts=convert.to_facts(data.facts), identifier=data.identifier
    )
    inventory = peers_of(request).inventory
    made, headers = await change(request, inventory, inventory.stub.AddAnimal, message, data)
    return Json(convert.animal(made), 201, headers)


@post("/animals/{animal_id:uuid}/release", operation_id="releaseAnimal", status_code=200)
async def release_animal(request: HttpRequest, animal_id: FromPath[UUID]) -> Response[Animal]:
    """End an animal's quarantine: it goes back on sale."""
    message = pb.ReleaseAnimalRequest(id=str(animal_id))
    inventory = peers_of(request).inventory
    found, headers = await change(request, inventory, inventory.stub.ReleaseAnimal, message)
    return Json(convert.animal(found), 200, headers)


async def _csv(request: HttpRequest) -> bytes:
    media_type = context_of(request).content_type.partition(b";")[0].strip().lower()
    if media_type != b"text/csv":
        raise UnsupportedContent("text/csv in UTF-8")
    body = await request.body()
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the file is not UTF-8: {error.reason}", code="request.malformed_csv") from None
    if "\0" in text:
        raise BadRequest("the file has a NUL character in it", code="request.malformed_csv")
    return body


def _rows_refused(report: ImportReport) -> RowsRefused:
    errors = tuple(FieldError(f"/lines/{e.line}/{e.column}", e.code, e.message) for e in report.errors)
    return RowsRefused(f"nothing was imported: {report.errors_total} mistakes", errors=errors)


ROUTES: list[Any] = [
    get_vendor,
    update_vendor,
    list_products,
    create_product,
    get_product,
    update_product,
    archive_product,
    change_stock,
    list_animals,
    add_animal,
    release_animal,
]
IMPORT: Any = import_products
"""Takes larger bodies than the others."""
