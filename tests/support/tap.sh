# Sourced by the parts of tests/run: prints TAP (https://testanything.org).
# shellcheck shell=bash

tap_count=0
tap_failures=0

tap_ok() { # NAME
    printf 'ok %d - %s\n' "$((++tap_count))" "$1"
}

tap_not_ok() { # NAME [FILE with what went wrong]
    printf 'not ok %d - %s\n' "$((++tap_count))" "$1"
    tap_failures=$((tap_failures + 1))
    if [[ -n ${2-} && -s $2 ]]; then
        tail -n 60 -- "$2" | sed 's/^/# /'
    fi
}

tap_skip() { # NAME REASON
    printf 'ok %d - %s # SKIP %s\n' "$((++tap_count))" "$1" "$2"
}

# Runs a command as one test; its output is shown if it fails.
tap_run() { # NAME COMMAND...
    local name=$1 output
    shift
    output=$(mktemp)
    if "$@" >"$output" 2>&1; then
        tap_ok "$name"
    else
        tap_not_ok "$name" "$output"
    fi
    rm -f -- "$output"
}

# Takes over the TAP lines of a program that has ended: FILE holds its output, CODE is its
# exit code. A program that died, or whose plan does not fit its lines, is a failed test.
tap_adopt() { # NAME FILE CODE
    local name=$1 file=$2 code=$3 line results=0 failed=0 plan=none
    # cmocka before 1.1.6 prints skipped tests as "not ok N # SKIP test".
    local skip_line='^(not )?ok [0-9]+ ?-? ?(.*)# ?SKIP ?(.*)$'
    local line_of_test='^(not )?ok [0-9]+ - (.*)$'
    while IFS= read -r line; do
        if [[ $line =~ ^1\.\.([0-9]+) ]]; then
            plan=${BASH_REMATCH[1]}
            continue
        fi
        results=$((results + 1))
        if [[ $line =~ $skip_line ]]; then
            tap_skip "$name ${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
        elif [[ ! $line =~ $line_of_test ]]; then
            results=$((results - 1))
            # cmocka 1.1.7 begins with its version, and sums up in a comment with ok.
            [[ $line =~ ^('# '(not )?ok\ - |'TAP version ') ]] || printf '# %s\n' "${line#\# }"
        elif [[ -n ${BASH_REMATCH[1]} ]]; then
            tap_not_ok "$name ${BASH_REMATCH[2]}"
            failed=$((failed + 1))
        else
            tap_ok "$name ${BASH_REMATCH[2]}"
        fi
    done <"$file"
    if [[ $plan != "$results" ]]; then
        tap_not_ok "$name runs all its tests (plan $plan, ran $results, exit $code)"
    elif ((code != 0 && failed == 0)); then
        tap_not_ok "$name ends well (exit $code)"
    fi
}

# Ends a part: prints the plan and exits.
tap_done() {
    printf '1..%d\n' "$tap_count"
    exit $((tap_failures > 0))
}
