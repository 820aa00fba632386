#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Download Debian packages and unpack them, without installing anything: works for an ordinary user.
#
#   fetch-deb.sh CACHE PACKAGE...    prints, for each package, the folder CACHE/<package>_<version> that it was unpacked into
#
# The version is what apt names today; a version that is already unpacked is not fetched again.
# Package lists that are missing or too old (the file is gone from the mirror) are renewed once, where we may.
set -eu

cache=$1
shift
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d "$cache/.partial.XXXXXX")
trap 'rm -rf "$work"' EXIT

renew_lists() {
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2
    elif sudo -n true 2>/dev/null; then
        sudo apt-get update -qq >&2
    else
        echo "fetch-deb: the package lists are missing or old; please run: sudo apt-get update" >&2
        return 1
    fi
}

# "<package> <version>" for each of them.
candidate_versions() {
    apt-cache policy "$@" 2>/dev/null | awk '/^[^ ]/ { name = $1; sub(/:$/, "", name) } /^  Candidate: / && $2 != "(none)" { print name, $2 }'
}

folder_of() {
    printf '%s/%s_%s\n' "$cache" "$1" "$(printf %s "$2" | tr -c 'A-Za-z0-9.+~-' _)"
}

download() {
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$@" >/dev/null)
}

candidate_versions "$@" >"$work/versions"
if [ "$(wc -l <"$work/versions")" -lt $# ]; then
    renew_lists
    candidate_versions "$@" >"$work/versions"
fi

missing=
for package; do
    version=$(awk -v name="$package" '$1 == name { print $2; exit }' "$work/versions")
    [ -n "$version" ] || { echo "fetch-deb: apt knows no package $package" >&2; exit 1; }
    [ -d "$(folder_of "$package" "$version")" ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "  FETCH  $missing" >&2
    # shellcheck disable=SC2086 # a list of words
    download $missing || { renew_lists && download $missing; }
    for deb in "$work"/*.deb; do
        package=$(dpkg-deb -f "$deb" Package)
        folder=$(folder_of "$package" "$(dpkg-deb -f "$deb" Version)")
        dpkg-deb -x "$deb" "$work/$package"
        [ -d "$folder" ] || mv "$work/$package" "$folder"
    done
fi
while read -r package version; do
    folder_of "$package" "$version"
done <"$work/versions"
