#!/bin/sh
# Runs buf on contracts/proto, bringing it by npm first (pinned in tools/node). Arguments are buf's own:
#   sh tools/buf.sh lint
#   sh tools/buf.sh build --exclude-source-info -o ../baseline.binpb    a new baseline, before a first release only
# Needs npm, and gets it from the machine's package manager when it is missing and we are root.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
node=$root/.orderhub/tools/node
wanted=$root/tools/node

need_npm() {
    command -v npm >/dev/null && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "orderhub: buf comes by npm, which is not here: install Node.js with npm and run this again" >&2
        exit 1
    fi
    echo "orderhub: buf comes by npm, which is not here: installing nodejs and npm by apt-get" >&2
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm >&2
}

if ! cmp -s "$wanted/package-lock.json" "$node/installed"; then
    need_npm
    mkdir -p "$node"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$node/"
    (cd "$node" && npm ci --loglevel=error --no-audit --no-fund --ignore-scripts >&2)
    cp "$wanted/package-lock.json" "$node/installed"
fi
cd "$root/contracts/proto"
exec "$node/node_modules/.bin/buf" "$@"
