#!/bin/sh
# pkg_config.sh PREFIX WORK-DIR VERSION CC [CXX] - programs built with what pkg-config says and nothing else: shared and
# static, C and C++; and every installed header compiles on its own in both languages, without a warning. A program that
# knows where libleat_uv is, and uses nothing of libleat, runs without LD_LIBRARY_PATH: libleat_uv finds libleat beside itself.
#
# pkg-config quotes blanks for a shell, so its answers go through eval.
# shellcheck disable=SC2016,SC2034
set -eu
prefix=$1 work=$2 version=$3 cc=$4 cxx=${5-}
c=$(dirname "$0")/consumer/consumer.c
cpp=$(dirname "$0")/consumer/consumer.cpp
rm -rf "$work"
mkdir -p "$work"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name leat.pc)")
export PKG_CONFIG_PATH
found=$(pkg-config --modversion leat)
[ "$found" = "$version" ] || { printf 'leat.pc says version %s, not %s\n' "$found" "$version"; exit 1; }
libdir=$(dirname "$(find "$prefix" -name libleat.a)")
includedir=$(dirname "$(find "$prefix" -path '*/leat/leat.h')")/..

# build_and_run shared|static NAME COMMAND
build_and_run() {
    program=$work/$2-$1
    printf '%s: %s\n' "$2-$1" "$3"
    eval "$3"' -o "$program"'
    if readelf -d "$program" | grep -F 'NEEDED' | grep -F libleat >/dev/null; then found=shared; else found=static; fi
    [ $found = "$1" ] || { printf 'it is linked %s\n' $found; exit 1; }
    LD_LIBRARY_PATH=$libdir "$program" "$version"
}

# check_headers COMPILER ARGUMENT...
check_headers() {
    for header in "$includedir"/leat/*.h; do
        : >"$work/header"
        [ "${header##*/}" != uv.h ] || printf '#define _GNU_SOURCE 1\n' >"$work/header" # libuv's own headers do not do without
        printf '#include <leat/%s>\n' "${header##*/}" >>"$work/header"
        "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$includedir" "$work/header"
    done
}

shared=$(pkg-config --cflags --libs leat)
static=$(pkg-config --static --cflags --libs leat)
uv=$(pkg-config --cflags --libs leat_uv)
remote=$(pkg-config --cflags --libs leat_remote)
remote_static=$(pkg-config --static --cflags --libs leat_remote)
build_and_run shared c '"$cc" "$c" '"$shared"
build_and_run shared uv '"$cc" "$(dirname "$c")/uv.c" '"$uv"
build_and_run shared remote '"$cc" "$(dirname "$c")/remote.c" '"$remote"
build_and_run static remote '"$cc" -static "$(dirname "$c")/remote.c" '"$remote_static"
build_and_run static c '"$cc" -static "$c" '"$static"

program=$work/uv-only
eval '"$cc" "$(dirname "$c")/uv_only.c" -o "$program" -Wl,--as-needed,-rpath,"$libdir" '"$uv"
needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(libleat.*\)\.so.*/\1/p')
[ "$needed" = libleat_uv ] || { printf 'uv-only needs %s, not libleat_uv alone\n' "$needed"; exit 1; }
env -u LD_LIBRARY_PATH "$program" || { printf 'libleat_uv does not find libleat\n'; exit 1; }
check_headers "$cc" -x c -std=c11
if [ -n "$cxx" ]; then
    build_and_run shared c++ '"$cxx" "$cpp" '"$shared"
    build_and_run static c++ '"$cxx" -static "$cpp" '"$static"
    check_headers "$cxx" -x c++ -std=c++11
    check_headers "$cxx" -x c++ -std=c++17
fi
