#!/bin/sh
# SPDX-License-Identifier: MIT
# Documentation may name, in `backquotes`, only functions name() and files that exist in the tree.
# Words of other projects' code are excused by a line "<!-- not ours: name name -->" in the page.
set -eu
bad=0
sources=$(mktemp)
trap 'rm -f "$sources"' EXIT
git ls-files 'hypervisor/*' 'sched/*' 'sdk/*' 'tests/*' 'plugins-dom0/*' 'vfr-rules/*' 'blk-sched/*' >"$sources.list"
xargs cat <"$sources.list" >"$sources"
for page in $(git ls-files '*.md'); do
    excused=" $(sed -n 's/.*<!-- not ours: \(.*\) -->.*/\1/p' "$page" | tr '\n' ' ') "
    # `name()` and `name(args)`, and in path pages file.c:name
    for name in $(grep -oE '`[a-z_][a-z0-9_]*\(\)?|[a-z0-9-]+\.[chS]:[a-z_][a-z0-9_]*' "$page" | sed -E 's/`//g; s/\(.*//; s/.*://' | sort -u); do
        case $excused in *" $name "*) continue ;; esac
        if ! grep -qw -- "$name" "$sources"; then
            echo "check-docs: $page names $name, which does not exist"
            bad=1
        fi
    done
    for file in $(grep -oE '`(hypervisor|sched|sdk|tests|plugins-dom0|docs)/[A-Za-z0-9_./-]+`' "$page" | tr -d '`' | sort -u); do
        case $excused in *" $file "*) continue ;; esac
        [ -e "$file" ] || { echo "check-docs: $page names $file, which does not exist"; bad=1; }
    done
    # Links between pages.
    for link in $(grep -oE '\]\([^)#:]+\)' "$page" | sed 's/^](//; s/)$//' | sort -u); do
        [ -e "$(dirname "$page")/$link" ] || { echo "check-docs: $page links to $link, which does not exist"; bad=1; }
    done
done
rm -f "$sources.list"
exit $bad
