#!/bin/sh
# Fails when a file includes upwards or sideways; main.c, of no layer, includes the cli only.
# Usage: layers.sh ROOT
cd "$1" || exit 2
grep -rn --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include "' proxy filters certs config |
awk '
    function layer(path,   name, best) {
        for (name in rank)
            if (index(path, name "/") == 1 && length(name) > length(best)) best = name
        return best
    }
    FILENAME == "tests/lint/layers" {
        if (!/^#/ && NF) { level++; for (i = 1; i <= NF; i++) rank[$i] = level }
        next
    }
    {
        split($0, part, ":"); from = layer(part[1])
        match($0, /"[^"]+"/); to = layer(substr($0, RSTART + 1, RLENGTH - 2))
        if (part[1] == "proxy/main.c" && to == "proxy/cli") next # above all layers
        if (from == "" || to == "") { print "no layer: " $0; bad = 1 }
        else if (from != to && rank[to] >= rank[from]) { print "upwards: " $0; bad = 1 }
    }
    END { exit bad }
' tests/lint/layers -
