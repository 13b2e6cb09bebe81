#!/bin/sh
# Runs helm, building it by Go first (pinned here; Go checks the module's sum). Arguments are helm's own:
#   sh tools/helm.sh lint deploy/helm/orderhub
# Needs Go 1.21 or newer, which brings the one that helm asks for.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
version=v3.19.0
cache=${ORDERHUB_BACKENDS_CACHE:-$root/.orderhub/backends/cache}
mkdir -p "$cache"
cache=$(CDPATH='' cd -- "$cache" && pwd -P)
helm=$cache/helm-$version/helm

build() {
    if ! command -v go >/dev/null; then
        echo "orderhub: helm comes by Go, which is not here: install Go (1.21 or newer) and run this again" >&2
        exit 1
    fi
    echo "orderhub: building helm $version, which takes two minutes once" >&2
    fresh=$(mktemp -d "$cache/helm.XXXXXX")
    trap 'chmod -R u+w "$fresh"; rm -rf "$fresh"' EXIT
    # Everything of Go's in a folder of our own: HOME may be empty.
    (cd "$fresh" && GOBIN=$fresh GOPATH=$fresh/go GOCACHE=$fresh/build GOFLAGS=-modcacherw GOTOOLCHAIN=auto \
        go install "helm.sh/helm/v3/cmd/helm@$version" >&2)
    mkdir -p "$cache/helm-$version"
    mv "$fresh/helm" "$helm"
    chmod -R u+w "$fresh"
    rm -rf "$fresh"
    trap - EXIT
}

[ -x "$helm" ] || build
# Nothing of the user's: no plugins, no repositories, no registries' credentials.
export HELM_CACHE_HOME="$cache/helm-$version/cache" HELM_CONFIG_HOME="$cache/helm-$version/config" \
    HELM_DATA_HOME="$cache/helm-$version/data"
exec "$helm" "$@"
