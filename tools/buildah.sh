#!/bin/sh
# Runs buildah, with its images in the cache (ORDERHUB_BACKENDS_CACHE, or .orderhub/backends/cache). Brings it, and
# debootstrap for the base image of tests, by apt-get when they are missing and we are root:
#   sh tools/buildah.sh images
#   sh tools/buildah.sh local-base      makes localhost/orderhub-base when it is not there, and prints its name
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cache=${ORDERHUB_BACKENDS_CACHE:-$root/.orderhub/backends/cache}
suite=bookworm
base=localhost/orderhub-base:$suite

need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "orderhub: $1 is not here: install it, and run this again" >&2
        exit 1
    fi
    echo "orderhub: $1 is not here: installing it by apt-get" >&2
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$1" >&2
}

# The smallest Debian with its own python3. Packages come from where this machine's apt takes them; where it names no
# such place, debootstrap takes its own default.
local_base() {
    buildah inspect --type image "$base" >/dev/null 2>&1 && return
    need debootstrap
    mirror=$(apt-get indextargets --format '$(SUITE) $(REPO_URI)' | sed -n "s/^$suite //p" | head -n 1)
    folder=$(mktemp -d "$cache/base.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    echo "orderhub: making a base image of Debian $suite" >&2
    debootstrap --variant=minbase --include=python3,ca-certificates "$suite" "$folder/root" ${mirror:+"$mirror"} >&2
    rm -rf "$folder"/root/var/cache/apt/archives/*.deb "$folder"/root/var/lib/apt/lists/*
    tar -C "$folder/root" -cf "$folder/root.tar" .
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$folder/root.tar" / >&2
    buildah commit --quiet --rm "$container" "$base" >&2
}

need buildah
mkdir -p "$cache"
cache=$(CDPATH='' cd -- "$cache" && pwd -P)
cat >"$cache/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$cache/containers"
runroot = "$cache/containers-run"
CONF
export CONTAINERS_STORAGE_CONF="$cache/storage.conf"
if [ "${1:-}" = local-base ]; then
    local_base
    echo "$base"
else
    exec buildah "$@"
fi
