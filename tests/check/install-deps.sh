#!/bin/sh
# SPDX-License-Identifier: MIT
# Install the named Debian packages, or say how to.
set -eu
[ $# != 0 ] || exit 0
if [ "$(id -u)" = 0 ]; then
    run=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=sudo
else
    echo "Some Debian packages are missing. Please run:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" >&2
    exit 1
fi
echo "  DEPS    $*"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! $run apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1; then
    $run apt-get update -qq
    $run apt-get install -y -qq --no-install-recommends "$@" >/dev/null
fi
