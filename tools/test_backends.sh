#!/bin/sh
# The tests that need real servers: brings the servers up, runs the tests, and takes the servers down however it ends.
# Arguments go to pytest. The first start installs the servers; ORDERHUB_BACKENDS_CACHE names another place for them.
set -eu
cd "$(dirname -- "$0")/.."
PY=${PY:-.venv/bin/python}

# Only what is our own is taken down: servers of somebody who is at work here would lose their data.
if [ -e .orderhub/backends/running.json ] && [ "$(cat .orderhub/backends/running.json)" != "{}" ]; then
    echo "orderhub: servers of deploy/backends are up here: make backends-down, then run this again" >&2
    exit 1
fi
sh tools/venv.sh --group backends
trap '"$PY" deploy/backends --folder .orderhub/backends/breakable down; "$PY" deploy/backends down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$PY" deploy/backends up
"$PY" -m pytest -q -n "${WORKERS:-2}" --dist loadgroup -m "backends and not breaking" "$@"
# What breaks servers starts a set of its own; idle servers of the other would take a good part of two cores.
"$PY" deploy/backends down
"$PY" -m pytest -q -m breaking "$@"
