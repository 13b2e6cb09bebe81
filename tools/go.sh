#!/bin/sh
# Prints the path of a Go that is new enough, for tests with programs in Go: the machine's own, or one that is brought.
# As root on Debian apt-get brings one. Debian 12's is Go 1.19; an old one fetches the newer as what Go itself fetches
# it as, the module golang.org/toolchain, checked by Go against its checksum database and here against the pin.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
needed=1.24
version=v0.0.1-go1.24.9.linux-amd64
sum=h1:XCaHFxbYbAFzirf0FlQ6XUJ3WM+yR7FdDHZvREoPVDI=
cache=${ORDERHUB_BACKENDS_CACHE:-$root/.orderhub/backends/cache}/go-toolchain

refuse() {
    echo "orderhub: $1" >&2
    exit 1
}

own() {
    command -v go || { [ -x /usr/local/go/bin/go ] && echo /usr/local/go/bin/go; }
}

new_enough() {
    found=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$needed" "${found#go}" | sort -V | head -n 1)" = "$needed" ]
}

install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        refuse "Go is not here: install Go $needed or newer (any Go fetches it) and run this again"
    fi
    echo "orderhub: Go is not here: installing it by apt-get" >&2
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends golang-go >&2
}

# Go 1.21 and newer would do this by themselves; one way for all is easier to follow.
bring() {
    [ "$(uname -sm)" = "Linux x86_64" ] || refuse "Go here is too old: install Go $needed or newer and run this again"
    echo "orderhub: $("$1" version) is too old: fetching $version" >&2
    mkdir -p "$cache"
    told=$(cd "$cache" && GOPATH=$cache GOMODCACHE=$cache/mod GOFLAGS=-modcacherw GOTOOLCHAIN=local GO111MODULE=on \
        "$1" mod download -json "golang.org/toolchain@$version")
    case $told in
        *"\"Sum\": \"$sum\""*) ;;
        *) refuse "golang.org/toolchain@$version is not the one that is pinned" ;;
    esac
    # Modules have no executable files.
    chmod +x "$brought"/bin/* "$brought"/pkg/tool/*/*
}

own >/dev/null || install
go=$(own) || refuse "golang-go is installed and yet there is no go"
brought=$cache/mod/golang.org/toolchain@$version
if ! new_enough "$go"; then
    { [ -x "$brought/bin/go" ] && new_enough "$brought/bin/go"; } || bring "$go"
    go=$brought/bin/go
fi
new_enough "$go" || refuse "$go does not run"
echo "$go"
