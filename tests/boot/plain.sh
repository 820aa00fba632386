# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by the demos: colours are for terminals, and not if NO_COLOR is set (no-color.org); never for files.
uncolour() { sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\x1b[()].//g'; }
plain() {
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
        cat
    else
        uncolour
    fi
}
