"""Every RPC of every service, with a request for somebody else's things, and what comes of it past the gateway.

For nobody, a strange customer, another vendor, another courier, and a service that acts for itself, in this order:

| word | means |
|---|---|
| in | it is let in; whether what it wants can be had is another question |
| out | it is let in, and what it gets leaves out what is not its own |
| 401, 403, 404 | refused: nobody is there; not with this role; not its own, so not there |
"""

from __future__ import annotations

from typing import Any, Final

from orderhub_gateway.examples import things

COLUMNS: Final = ("nobody", "stranger", "other vendor", "other courier", "service")
ANYBODY: Final = "in in in in in"
"""What is public, or proves itself by a password, a code or a signature."""
ONESELF: Final = "401 in in in 403"
OPERATOR: Final = "401 403 403 403 403"
OPERATED: Final = "401 403 403 403 in"
"""For operators and services."""
SERVICE: Final = OPERATED
VENDORS_OWN: Final = "401 403 404 403 403"
COURIERS_OWN: Final = "401 403 403 404 403"
PASSWORD: Final = "a long password"

ADDRESS: Final = {"line1": "Havenweg 14", "city": "Rotterdam", "postal_code": "3011", "country": "NL"}
DELIVERY: Final = {"id": things.DELIVERY}
ORDER: Final = {"id": things.ORDER}
PRODUCT: Final = {"id": things.PRODUCT}
RPCS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "auth.v1.AuthService/Register": ({"email": "past@example.org", "password": PASSWORD}, ANYBODY),
    "auth.v1.AuthService/Login": ({"email": "past@example.org", "password": PASSWORD}, ANYBODY),
    "auth.v1.AuthService/Refresh": ({"refresh_token": "ohr_unknown"}, ANYBODY),
    "auth.v1.AuthService/Logout": ({"refresh_token": "ohr_unknown"}, ANYBODY),
    "auth.v1.AuthService/LogoutAll": ({}, ONESELF),
    "auth.v1.AuthService/ListSessions": ({}, "401 out out out 403"),
    "auth.v1.AuthService/RevokeSession": ({"id": things.SESSION}, "401 404 404 404 403"),
    "auth.v1.AuthService/ChangePassword": ({"current_password": "x", "new_password": PASSWORD}, ONESELF),
    "auth.v1.AuthService/RequestPasswordReset": ({"email": "nobody@example.org"}, ANYBODY),
    "auth.v1.AuthService/ConfirmPasswordReset": ({"code": "x", "new_password": PASSWORD}, ANYBODY),
    "auth.v1.AuthService/RequestEmailVerification": ({}, ONESELF),
    "auth.v1.AuthService/ConfirmEmailVerification": ({"code": "x"}, ANYBODY),
    "auth.v1.AuthService/GetMe": ({}, ONESELF),
    "auth.v1.AuthService/GetJwks": ({}, ANYBODY),
    "auth.v1.AuthService/CreateUser": ({"email": "p@example.org", "password": PASSWORD, "roles": ["courier"]}, OPERATED),
    "auth.v1.AuthService/ListUsers": ({}, OPERATED),
    "auth.v1.AuthService/GetUser": ({"id": things.COURIER}, OPERATED),
    "auth.v1.AuthService/UpdateUser": ({"id": things.COURIER, "name": "Linus"}, OPERATED),
    "auth.v1.KeyService/ListSigningKeys": ({}, OPERATED),
    "auth.v1.KeyService/RotateSigningKeys": ({"algorithm": "ES256"}, OPERATED),
    "auth.v1.ProfileService/UpdateProfile": ({"name": "Mallory"}, ONESELF),
    "auth.v1.MfaService/EnrollTotp": ({"current_password": "x"}, ONESELF),
    "auth.v1.MfaService/ConfirmTotp": ({"code": "x"}, ONESELF),
    "auth.v1.MfaService/DisableTotp": ({"current_password": "x", "code": "x"}, ONESELF),
    "auth.v1.MfaService/RenewRecoveryCodes": ({"current_password": "x", "code": "x"}, ONESELF),
    "auth.v1.MfaService/CountRecoveryCodes": ({}, ONESELF),
    "auth.v1.MfaService/VerifySecondFactor": ({"mfa_token": "ohm_unknown", "code": "x"}, ANYBODY),
    "auth.v1.MfaService/SwitchOffMfa": ({"user_id": things.COURIER}, OPERATOR),
    **dict.fromkeys(
        (
            "auth.v1.OidcService/GetMetadata",
            "auth.v1.OidcService/Authorize",
            "auth.v1.OidcService/SignIn",
            "auth.v1.OidcService/DecideConsent",
            "auth.v1.OidcService/EndSession",
            "auth.v1.OidcService/DecideLogout",
            "auth.v1.OidcService/VisitDevice",
            "auth.v1.OidcService/DecideDevice",
            "auth.v1.OidcService/Token",
            "auth.v1.OidcService/AuthorizeDevice",
            "auth.v1.OidcService/Revoke",
            "auth.v1.OidcService/Introspect",
            "auth.v1.OidcService/UserInfo",
        ),
        ({}, SERVICE),
    ),
    "auth.v1.ClientService/CreateClient": ({"settings": {"name": "x"}}, OPERATED),
    "auth.v1.ClientService/ListClients": ({}, OPERATED),
    **dict.fromkeys(
        (
            "auth.v1.ClientService/GetClient",
            "auth.v1.ClientService/UpdateClient",
            "auth.v1.ClientService/DeleteClient",
            "auth.v1.ClientService/RenewSecret",
        ),
        ({"id": things.NOTHING}, "401 403 403 403 404"),
    ),
    "auth.v1.ApiKeyService/CreateApiKey": (
        {"vendor_id": things.VENDOR, "name": "Till", "scopes": ["orders:read"]}, VENDORS_OWN,
    ),
    "auth.v1.ApiKeyService/ListApiKeys": ({}, "401 403 out 403 403"),
    "auth.v1.ApiKeyService/GetApiKey": ({"id": things.API_KEY}, VENDORS_OWN),
    "auth.v1.ApiKeyService/UpdateApiKey": ({"id": things.API_KEY, "name": "Mine"}, VENDORS_OWN),
    "auth.v1.ApiKeyService/RevokeApiKey": ({"id": things.API_KEY}, VENDORS_OWN),
    "auth.v1.ApiKeyService/ResolveApiKeys": ({"keys": [{"public_id": "0", "key_hash": "AA=="}]}, SERVICE),
    "inventory.v1.InventoryService/GetVendor": ({"id": things.VENDOR}, ANYBODY),
    "inventory.v1.InventoryService/ListVendors": ({}, OPERATED),
    "inventory.v1.InventoryService/CreateVendor": ({"name": "New", "address": ADDRESS}, OPERATOR),
    "inventory.v1.InventoryService/UpdateVendor": ({"vendor_id": things.VENDOR, "name": "Mine"}, VENDORS_OWN),
    "inventory.v1.InventoryService/ListProducts": ({}, ANYBODY),
    "inventory.v1.InventoryService/GetProduct": (PRODUCT, ANYBODY),
    "inventory.v1.InventoryService/BatchGetProducts": ({"keys": [{"product_id": things.PRODUCT}]}, SERVICE),
    "inventory.v1.InventoryService/CreateProduct": (
        {
            "vendor_id": things.VENDOR, "sku": "MINE-1", "title": "Mine", "kind": "good",
            "price": {"amount_minor": 100, "currency": "EUR"},
        },
        VENDORS_OWN,
    ),
    "inventory.v1.InventoryService/UpdateProduct": ({**PRODUCT, "title": "Mine"}, VENDORS_OWN),
    "inventory.v1.InventoryService/ArchiveProduct": (PRODUCT, VENDORS_OWN),
    "inventory.v1.InventoryService/ImportProducts": ({"vendor_id": things.VENDOR, "csv": "dmVuZG9yCg=="}, VENDORS_OWN),
    "inventory.v1.InventoryService/ImportVendors": ({"csv": "dmVuZG9yCg=="}, OPERATOR),
    "inventory.v1.InventoryService/ChangeStock": (
        {"product_id": things.PRODUCT, "delta": 1, "reason": "x"}, VENDORS_OWN,
    ),
    "inventory.v1.InventoryService/ListAnimals": ({"product_id": things.FERRETS}, ANYBODY),
    "inventory.v1.InventoryService/AddAnimal": ({"product_id": things.FERRETS, "facts": {"weaned": True}}, VENDORS_OWN),
    "inventory.v1.InventoryService/ReleaseAnimal": ({"id": things.ANIMAL}, VENDORS_OWN),
    "inventory.v1.InventoryService/WithdrawAnimal": ({"id": things.ANIMAL, "reason": "mine"}, VENDORS_OWN),
    "orders.v1.OrdersService/PlaceOrders": ({"items": []}, SERVICE),
    "orders.v1.OrdersService/GetOrder": (ORDER, "401 404 404 404 in"),
    "orders.v1.OrdersService/ListOrders": ({}, "401 out out 403 in"),
    "orders.v1.OrdersService/WaitOrder": (ORDER, "401 404 404 404 in"),
    "orders.v1.OrdersService/CancelOrder": (ORDER, "401 404 404 403 403"),
    "orders.v1.OrdersService/GetTimeline": (ORDER, "401 404 404 404 in"),
    "orders.v1.OrdersService/ReleaseOrder": (ORDER, OPERATOR),
    "orders.v1.OrdersService/RejectOrder": (ORDER, OPERATOR),
    "orders.v1.OrdersService/ListSagas": ({}, OPERATOR),
    "orders.v1.OrdersService/GetSaga": ({"run_id": things.RUN}, OPERATOR),
    "orders.v1.OrdersService/ActOnSaga": ({"run_id": things.RUN, "action": 1}, OPERATOR),
    "payments.v1.PaymentsService/GetPayment": ({"id": things.PAYMENT}, "401 404 404 403 in"),
    "payments.v1.PaymentsService/ListPayments": ({}, "401 out out 403 in"),
    "payments.v1.PaymentsService/RefundPayment": ({"payment_id": things.PAYMENT, "reason": "mine"}, VENDORS_OWN),
    "payments.v1.PaymentsService/ListLedger": ({}, OPERATOR),
    "payments.v1.PaymentsService/Reconcile": ({}, OPERATOR),
    "payments.v1.PaymentsService/ReceiveStripeWebhook": ({"signature": "t=1,v1=00", "body": "e30="}, ANYBODY),
    "delivery.v1.DeliveryService/CreateDelivery": ({"order_id": things.ORDER}, VENDORS_OWN),
    "delivery.v1.DeliveryService/GetDelivery": (DELIVERY, "401 404 404 404 in"),
    "delivery.v1.DeliveryService/ListDeliveries": ({}, "401 out out out in"),
    "delivery.v1.DeliveryService/QuoteDelivery": ({}, "401 in in in in"),
    "delivery.v1.DeliveryService/AssignDelivery": (DELIVERY, COURIERS_OWN),
    "delivery.v1.DeliveryService/PickUpDelivery": (DELIVERY, COURIERS_OWN),
    "delivery.v1.DeliveryService/ReportPosition": ({**DELIVERY, "position": {"lat": 52.1, "lon": 7.3}}, COURIERS_OWN),
    "delivery.v1.DeliveryService/HandOverDelivery": (DELIVERY, COURIERS_OWN),
    "delivery.v1.DeliveryService/FailDelivery": ({**DELIVERY, "reason": "mine"}, COURIERS_OWN),
    "delivery.v1.DeliveryService/CancelDelivery": (DELIVERY, VENDORS_OWN),
    "events.v1.DeadLetterService/ListDeadLetters": ({}, OPERATOR),
    "events.v1.DeadLetterService/GetDeadLetter": ({"id": things.NOTHING}, OPERATOR),
    "events.v1.DeadLetterService/ReplayDeadLetter": ({"id": things.NOTHING}, OPERATOR),
}  # fmt: skip
