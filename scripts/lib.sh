# scripts/lib.sh - what scripts/demo, scripts/test and scripts/performance share: finding out what is missing, installing it, building.
#
# For any POSIX shell; sourced with $root set to the top of the source tree. Nothing but a shell and apt-get is taken for
# granted, and not even apt-get when all that is needed is there. Every call that fails ends the script with a message that
# says what failed and where its whole output is.

build=${root:?}/build
missing_packages= wanted_packages=

say() {
    printf '%s\n' "$*"
}

die() {
    printf 'scripts/%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# --- What is needed, and is it there? -------------------------------------------------------------------------------

have_command() {
    command -v "$1" >/dev/null 2>&1
}

# Whether the C compiler finds the header; before there is a compiler, whether it lies where packages put it.
have_header() {
    if have_command gcc; then
        printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" | gcc -E -x c - >/dev/null 2>&1
    else
        [ -e "/usr/include/$1" ]
    fi
}

# need PACKAGE PURPOSE PROBE...: puts the package on the list of missing ones unless the probe succeeds.
need() {
    tell_if_missing "$@" || missing_packages="$missing_packages $1"
}

# The same for a package that the build does without if it cannot be had.
want() {
    tell_if_missing "$@" || wanted_packages="$wanted_packages $1"
}

tell_if_missing() {
    need_package=$1
    need_purpose=$2
    shift 2
    if "$@"; then
        return 0
    fi
    [ -n "$missing_packages$wanted_packages" ] || say "Missing on this machine:"
    printf '  %-24s %s\n' "$need_package" "$need_purpose"
    return 1
}

# What every build needs: the library and the leat command.
need_for_building() {
    need cmake "configures the build" have_command cmake
    need make "runs the build" have_command make
    need gcc "compiles C" have_command gcc
    need libc6-dev "headers of the C library" have_header stdio.h
    need pkg-config "finds libraries" have_command pkg-config
    need libjansson-dev "JSON for the leat command" have_header jansson.h
    need libncurses-dev "terminal for the leat command" have_header curses.h
}

# ask_for_peers need|want: what the benchmarks compare with. Boost is needed either way: every comparison has it; iceoryx
# never.
ask_for_peers() {
    need libboost-dev "the benchmark's peer boost" have_header boost/lockfree/spsc_queue.hpp
    "$1" libck-dev "the benchmark's peer ck_ring" have_header ck_ring.h
    "$1" libreaderwriterqueue-dev "the benchmark's peer rwqueue" have_header readerwriterqueue/readerwriterqueue.h
    "$1" libqb-dev "the benchmark's peer libqb" have_header qb/qbrb.h
    "$1" libzmq3-dev "the benchmark's peer ZeroMQ" have_header zmq.h
    "$1" libnng-dev "the benchmark's peer nng" have_header nng/nng.h
    "$1" libuv1-dev "the benchmark's peer uv_pipe" have_header uv.h
    # Not every release of Debian and Ubuntu has these.
    want libiceoryx-binding-c-dev "the benchmark's peer iceoryx" have_header iceoryx/v2.0.3/iceoryx_binding_c/api.h
    want iceoryx "the daemon of that peer" have_command iox-roudi
}

# Installs what `need` found missing. No network is touched when nothing is.
install_missing() {
    [ -n "$missing_packages$wanted_packages" ] || return 0
    if have_command apt-get && [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif have_command apt-get && have_command sudo; then
        as_root=sudo
    elif [ -z "$missing_packages" ]; then
        say "  without$wanted_packages: nothing can be installed here"
        wanted_packages=
        return 0
    elif ! have_command apt-get; then
        die "there is no apt-get here: install what these Debian packages hold, then try again:$missing_packages"
    else
        die "not root, and no sudo: as root run 'apt-get install --no-install-recommends$missing_packages'"
    fi
    install_log=$build/packages.log
    mkdir -p "$build"
    : >"$install_log"
    say "Installing them with ${as_root:+$as_root }apt-get (log: $(shown "$install_log"))"
    # With lists that are old, or from sources of which some do not answer, the installation may still succeed.
    apt_get update || say "  'apt-get update' failed; trying with the package lists that are here"
    # The list is meant to be split into words.
    # shellcheck disable=SC2086
    if [ -n "$missing_packages" ] && ! apt_get install -y --no-install-recommends $missing_packages; then
        grep -E '^(E|W|Err)' "$install_log" | tail -n 12 >&2 || :
        die "apt-get failed, see above. Needed are the packages:$missing_packages"
    fi
    # One by one: each may be missing by itself.
    for wanted in $wanted_packages; do
        apt_get install -y --no-install-recommends "$wanted" || say "  without $wanted: it cannot be installed here"
    done
    missing_packages= wanted_packages=
}

apt_get() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >>"$install_log" 2>&1
}

# The channels live in /dev/shm, which minimal containers and chroots can lack.
need_shared_memory() {
    if ! [ -d /dev/shm ] || ! [ -w /dev/shm ]; then
        die "/dev/shm is not there or not writable: as root run 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm'"
    fi
}

# --- Building ---------------------------------------------------------------------------------------------------------

# A path as people want to see it: relative to the source tree.
shown() {
    printf '%s' "${1#"$root"/}"
}

jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)

# step TEXT LOG COMMAND...: runs the command with all its output in the log, and shows the log's end when it fails.
step() {
    step_text=$1
    step_log=$2
    shift 2
    step_start=$(date +%s)
    printf '  %-44s ' "$step_text"
    mkdir -p "${step_log%/*}"
    if "$@" >"$step_log" 2>&1 </dev/null; then
        say "ok, $(($(date +%s) - step_start)) s"
    else
        say "FAILED"
        grep -v '^\[ *[0-9]*%\]' "$step_log" | tail -n 60 >&2 || :
        die "'$step_text' failed, see above (log: $(shown "$step_log"))"
    fi
}

# build_tree NAME CMAKE-ARGUMENT...: configures and builds build/NAME. CMakePresets.json has the same settings by the same
# names; they are not used here because CMake before 3.21 does not know them.
build_tree() {
    tree=$1
    shift
    say "Building build/$tree"
    step "configure" "$build/$tree/configure.log" cmake -S "$root" -B "$build/$tree" "$@"
    step "compile" "$build/$tree/compile.log" cmake --build "$build/$tree" -- -j "$jobs"
}
