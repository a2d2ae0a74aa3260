# Sourced by what installs Debian packages: tests/run and config/quickstart.
# shellcheck shell=bash

# A program of that name counts too: Node.js, say, is often installed from elsewhere, with
# npm in it, and Debian's npm would conflict.
is_installed() { # PACKAGE
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]] ||
        command -v "$1" >/dev/null
}

# A password is asked for only where somebody can type it.
as_root() { # COMMAND...
    if ((EUID == 0)); then
        "$@"
    elif [[ -t 0 ]]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# Missing packages of these parts of tests/packages; of a|b, none if either is there.
missing_packages() { # PART...
    local part packages choice name found wanted=" $* "
    while read -r part packages; do
        [[ $wanted == *" $part "* ]] || continue
        for choice in $packages; do
            found=
            for name in ${choice//|/ }; do
                if is_installed "$name"; then
                    found=yes
                fi
            done
            [[ -n $found ]] || echo "$choice"
        done
    done < <(grep -v '^#' tests/packages)
}

# The first name of a|b that Debian's lists have.
available_package() { # CHOICE
    local name
    for name in ${1//|/ }; do
        if [[ -n $(apt-cache show --no-all-versions "$name" 2>/dev/null) ]]; then
            echo "$name"
            return
        fi
    done
    echo "${1%%|*}"
}

# Installs what these parts need and lack. LOG gets what apt-get says.
install_packages() { # LOG PART...
    local log=$1 choices choice names=()
    shift
    mapfile -t choices < <(missing_packages "$@" | sort -u)
    ((${#choices[@]} > 0)) || return 0
    if ((EUID != 0)) && [[ -z $(command -v sudo) ]]; then
        for choice in "${choices[@]}"; do
            names+=("$(available_package "$choice")")
        done
        echo "these packages are missing, and there is no sudo to install them with; as root:"
        echo "  apt-get install ${names[*]}"
        return 1
    fi
    echo "installing: ${choices[*]}"
    {
        as_root apt-get update
        for choice in "${choices[@]}"; do
            names+=("$(available_package "$choice")")
        done
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "${names[@]}"
    } >"$log" 2>&1 || {
        tail -n 20 "$log"
        echo "could not install these; as root: apt-get install ${names[*]}"
        return 1
    }
}
