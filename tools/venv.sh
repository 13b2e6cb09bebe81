#!/bin/sh
# Makes ./.venv when it is not there or not up to date; a few milliseconds when it is. Messages go to stderr.
# Arguments go to tools/bootstrap.py (--group bench).
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
stamp=$root/.venv/orderhub-stamp

up_to_date() {
    [ $# -eq 0 ] && [ -x "$root/.venv/bin/python" ] && [ -f "$stamp" ] || return 1
    # A copied or moved checkout carries an environment that still points to the old place.
    read -r made_for <"$stamp" && [ "$made_for" = "$root" ] || return 1
    for file in "$root/uv.lock" "$root/pyproject.toml" "$root/tools/uv-requirements.txt" \
        "$root"/*/pyproject.toml "$root"/services/*/pyproject.toml; do
        [ "$file" -nt "$stamp" ] && return 1
    done
    return 0
}

up_to_date "$@" && exit 0

for python in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" -I "$root/tools/bootstrap.py" "$@"
    fi
done
echo "orderhub: Python 3.11 or newer is needed; python3 here is $(python3 -V 2>&1). Set PYTHON=/path/to/python3." >&2
exit 1
