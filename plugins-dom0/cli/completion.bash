# SPDX-License-Identifier: MIT
# Completion of `collet` for bash: the program itself knows what can follow (collet __complete).
# Installed as /usr/share/bash-completion/completions/collet, or sourced from ~/.bashrc.
_collet()
{
    local word line
    word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r line; do
        if [ "$line" = @files ]; then
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
            compopt -o filenames 2>/dev/null
        else
            COMPREPLY+=("$line")
            [ "${line%=}" = "$line" ] || compopt -o nospace 2>/dev/null
        fi
    done < <("${COMP_WORDS[0]}" __complete words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _collet collet
