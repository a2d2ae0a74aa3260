#!/usr/bin/env bash
# Fails when a layer's library needs a symbol that a layer below or beside it defines: what
# layers.sh cannot see, such as a function declared by hand.  Usage: link_order.sh BUILD
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

while read -r line; do
    level=$((${level:-0} + 1))
    for folder in $line; do
        library=$1/lib${folder#proxy/}.a
        if [[ -e $library ]]; then
            nm -A "$library" 2>/dev/null | sed "s|^|$level ${folder#proxy/} |"
        fi
    done
done < <(grep -vE '^(#|$)' tests/lint/layers) |
    awk '
        { kind = $(NF - 1); symbol = $NF }
        kind ~ /^[TDBRVC]$/ { home[symbol] = $2; rank[symbol] = $1; count++ }
        kind == "U" { needs[++uses] = $2 " " symbol; level[uses] = $1 }
        END {
            for (i = 1; i <= uses; i++) {
                split(needs[i], use, " ")
                symbol = use[2]
                if (symbol in home && home[symbol] != use[1] && rank[symbol] >= level[i]) {
                    print use[1] " uses " symbol " of " home[symbol]
                    bad = 1
                }
            }
            if (!count) { print "no libraries to look at"; bad = 1 }
            exit bad
        }'
