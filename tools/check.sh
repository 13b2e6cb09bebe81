#!/bin/sh
# What `make check` runs; all of it, so that one round shows everything. Python only: no Node, no network.
# Arguments: the folders with our own sources.
set -u
failed=""

step() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed="$failed, $name"
}

step "style" "$PY" -m ruff check .
step "format" "$PY" -m ruff format --check .
step "types" "$PY" -m mypy "$@"
step "imports between packages" "$PY" -c 'from importlinter.cli import lint_imports_command as run; run()' --no-cache --no-logo
step "generated code against the protos" "$PY" tools/gen_proto.py --check
step "documents of the settings" "$PY" -m orderhub config --check
step "document of the policy" "$PY" tools/rbac.py --check
step "tests of the security document" "$PY" tools/security.py
step "document of conformance" "$PY" tools/conformance.py --check
step "house rules" "$PY" tools/lints.py

if [ -n "$failed" ]; then
    printf '\nmake check failed: %s\n' "${failed#, }"
    exit 1
fi
printf '\nmake check: all good\n'
