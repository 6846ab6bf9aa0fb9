# Sourced by the other scripts: enters the repository and keeps its virtual environment, .venv, up to date.
# It is installed once, and again only when pyproject.toml, requirements.lock, the version or the place of the checkout
# changes. The core, the reading page and PostgreSQL come from requirements.lock, with hashes; see scripts/lock.

set -euo pipefail

REPOSITORY="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)"
VENV="$REPOSITORY/.venv"
STAMP="$VENV/sparcc-installed"
cd -- "$REPOSITORY"

print_line() { printf '%s\n' "$*" >&2; }

# Prints a Python that is new enough and is no virtual environment's own.
find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3.14 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    print_line "expected Python 3.11 or newer, found none; install it (Debian, Ubuntu: apt-get install python3 python3-venv)"
    return 1
}

# Debian and Ubuntu keep the module venv in a package of its own.
require_venv_module() {
    local python="$1" package
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        return
    fi
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        print_line "expected the module venv of $python, found none; as root: apt-get install $package"
        return 1
    fi
    print_line "Installing the Debian package $package ..."
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$package"; } >&2
}

# WeasyPrint draws PDFs with system libraries. Without them all but the option --pdf works.
require_pdf_libraries() {
    local packages="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    if "$VENV/bin/python" -c 'import weasyprint' >/dev/null 2>&1; then
        return
    fi
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        print_line "for reports as PDF, as root: apt-get install $packages (all else works without)"
        return
    fi
    print_line "Installing the Debian packages $packages ..."
    # shellcheck disable=SC2086
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $packages; } >&2 ||
        print_line "could not install them: reports as PDF will be refused (all else works)"
}

install_packages() { "$VENV/bin/python" -m pip install --quiet --quiet --disable-pip-version-check "$@" >&2; }

# What an installation depends on, as one hash.
installation_hash() {
    { printf '%s\n' "$REPOSITORY"; cat pyproject.toml requirements.lock sparcc_pipeline/__init__.py; } | sha256sum | cut -d ' ' -f 1
}

# prepare_environment [EXTRAS]: .venv with the project (editable) and at least these extras, for example "train,test".
prepare_environment() {
    local extras="${1:-}" wanted python installed_hash="" installed_extras=""
    wanted="$(installation_hash)"
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        python="$(find_python)"
        require_venv_module "$python"
        print_line "Creating the virtual environment $VENV ..."
        "$python" -m venv --clear "$VENV"
    fi
    if [[ -f "$STAMP" ]]; then
        read -r installed_hash installed_extras <"$STAMP" || true
    fi
    # Extras that are there already stay: the demo must not take the tests' tools out of date.
    [[ -n "$extras" ]] || extras="$installed_extras"
    if [[ "$wanted" == "$installed_hash" && "$extras" == "$installed_extras" ]]; then
        return
    fi
    print_line "Installing sparcc-pipeline${extras:+ with $extras} into $VENV (some minutes the first time) ..."
    rm -f "$STAMP"
    install_packages --require-hashes --requirement requirements.lock
    # The project itself needs no download: what builds it is in the lock file.
    install_packages --no-deps --no-build-isolation --editable .
    # The extras of developers bring packages without hashes.
    [[ -z "$extras" ]] || install_packages --editable ".[$extras]"
    require_pdf_libraries
    printf '%s %s\n' "$wanted" "$extras" >"$STAMP"
}
