#!/bin/sh
# What `make test-full` runs beyond `make test`; the first failure ends it. A further suite is one more `step`.
set -eu
cd "$(dirname -- "$0")/.."
PY=${PY:-.venv/bin/python}

step() {
    printf '\n== %s\n' "$1"
    shift
    "$@"
}

step "contracts: buf lint" sh tools/buf.sh lint
step "contracts: nothing breaks against the committed baseline" sh tools/buf.sh breaking --against ../baseline.binpb
step "a browser for the page of documentation" sh tools/chromium.sh
step "Go, for the relying party in Go" sh tools/go.sh
step "the slow suites" "$PY" -m pytest -q -n "${WORKERS:-2}" --dist loadgroup -m "full and not backends"
step "the suites on real servers" sh tools/test_backends.sh
