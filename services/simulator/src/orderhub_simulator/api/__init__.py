"""The provider's HTTP API on plain ASGI: JSON, `Authorization: Bearer <api key>`, errors `{error: {code, message, field?}}`.

| route | does |
|---|---|
| `POST /v1/authorizations` | authorize `{amount_minor, currency, token, reference}`; a declined card is a 200 with its `decline_code` |
| `POST /v1/authorizations/{id}/capture` | capture `{amount_minor}` once, up to the authorized amount |
| `POST /v1/authorizations/{id}/void` | give the hold back (empty body or `{}`), before capture only |
| `POST /v1/authorizations/{id}/refunds` | refund `{amount_minor, reference}`, part by part up to the captured amount |
| `POST /v1/batch` | `{operations: [{key, op, …}]}` to `{results: [{key, http_status, body}]}`, each operation for itself |
| `GET /v1/authorizations/{id}` | one authorization |
| `GET /v1/authorizations/{id}/refunds` | its refunds |
| `GET /v1/authorizations?reference=&updated_after=&limit=&cursor=` | listing, oldest change first |
| `GET /v1/operations/{key}` | what became of an idempotency key: the stored answer, or 404 when nothing was done |
| `GET /livez` `/readyz` `/metrics` | for the operator, without a key |

The single mutating calls need an `Idempotency-Key` header. Same key and same request: the stored answer
(`Idempotency-Replayed: true`); same key and another request: 422. 503 and 504 are transient and never stored.
"""
