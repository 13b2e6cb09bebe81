-- What the provider holds for each card authorization. The checks are the last guard of the money rules:
-- model.py decides, these refuse whatever it should not have decided.
CREATE TABLE authorizations (
    id uuid PRIMARY KEY,
    token text NOT NULL,
    reference text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status text NOT NULL CHECK (status IN ('authorized', 'declined', 'captured', 'voided')),
    decline_code text,
    captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT captured_within_authorized CHECK (captured_minor <= amount_minor),
    CONSTRAINT refunded_within_captured CHECK (refunded_minor <= captured_minor),
    CONSTRAINT only_captured_holds_money CHECK ((status = 'captured') = (captured_minor > 0)),
    CONSTRAINT declined_says_why CHECK ((status = 'declined') = (decline_code IS NOT NULL))
) WITH (fillfactor = 50);

CREATE INDEX authorizations_by_reference ON authorizations (reference, updated_at, id);
CREATE INDEX authorizations_by_update ON authorizations (updated_at, id);

CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    authorization_id uuid NOT NULL REFERENCES authorizations (id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reference text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX refunds_by_authorization ON refunds (authorization_id);

-- One row per idempotency key. No answer yet: transient attempts were counted, nothing has happened.
CREATE TABLE operations (
    key text COLLATE "C" PRIMARY KEY,
    op text NOT NULL CHECK (op IN ('authorize', 'capture', 'void', 'refund')),
    fingerprint bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    http_status smallint,
    body text,
    created_at timestamptz NOT NULL,
    CONSTRAINT answered_as_a_whole CHECK ((http_status IS NULL) = (body IS NULL))
);
