#!/bin/sh
# Prints where Chromium is, for tests that look at pages. Brings it by the machine's package manager when it is
# missing and we are root.
set -eu

found() {
    command -v chromium || command -v chromium-browser
}

if ! found >/dev/null; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "orderhub: Chromium is not here: install it, under the name chromium, and run this again" >&2
        exit 1
    fi
    echo "orderhub: Chromium is not here: installing it by apt-get" >&2
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium >&2
fi
found
