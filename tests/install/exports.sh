#!/bin/sh
# exports.sh CC INCLUDE-DIR HEADER PREFIX SHARED-LIBRARY STATIC-LIBRARY ABI-VERSION NEEDED
#
# The functions that HEADER declares with names that start with PREFIX, those that it declares LEAT_API and those that the
# shared library exports, with a symbol version, are the same; the static library defines no global name that does not start
# with leat_; the shared one carries its version in its SONAME and needs nothing but the libraries of the pattern NEEDED.
set -eu
LC_ALL=C
export LC_ALL
cc=$1 include=$2 header=$3 prefix=$4 shared=$5 static=$6 abi=$7 allowed=$8
name=${shared##*/}
name=${name%%.so*}
status=0

# fail WHAT LIST - the list's lines become one
fail() {
    printf '%s: %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')"
    status=1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each declaration on its own, marked "api" when LEAT_API stood before it.
printf '#define _GNU_SOURCE 1\n#include "%s"\n' "$header" | "$cc" -E -P -I"$include" -x c - >"$work/preprocessed"
awk -v prefix="$prefix" 'BEGIN { RS = ";" }
    match($0, prefix "[a-z0-9_]+[ \n]*\\(") {
        name = substr($0, RSTART, RLENGTH - 1)
        sub(/[ \n]+$/, "", name)
        print (index($0, "visibility(\"default\")") ? "api" : "not-api"), name
    }' "$work/preprocessed" >"$work/declarations"
sed -n 's/^api //p' "$work/declarations" | sort >"$work/api"
not_api=$(sed -n 's/^not-api //p' "$work/declarations")
[ -z "$not_api" ] || fail "declared without LEAT_API" "$not_api"
[ "$(wc -l <"$work/api")" -ge 30 ] || fail "only these public functions were found in the headers" "$(cat "$work/api")"

nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exports"
missing=$(comm -23 "$work/api" "$work/exports")
[ -z "$missing" ] || fail "declared LEAT_API and not exported (see $name.map)" "$missing"
extra=$(comm -13 "$work/api" "$work/exports")
[ -z "$extra" ] || fail "exported and not declared LEAT_API (see $name.map)" "$extra"

unversioned=$(nm -D --defined-only "$shared" | awk '$2 != "A" && $3 !~ /@/ { print $3 }')
[ -z "$unversioned" ] || fail "exported without a symbol version" "$unversioned"

foreign=$(nm -g --defined-only "$static" | awk 'NF == 3 && $3 !~ /^leat_/ { print $3 }')
[ -z "$foreign" ] || fail "global names of the static library that do not start with leat_" "$foreign"

readelf -d "$shared" >"$work/dynamic"
grep -F "Library soname: [$name.so.$abi]" "$work/dynamic" >/dev/null || fail "the SONAME should be $name.so.$abi" "$(grep -F SONAME "$work/dynamic")"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' "$work/dynamic" | grep -v -E "^($allowed|ld-.*)\.so") || :
[ -z "$needed" ] || fail "the shared library needs more than $allowed" "$needed"

[ $status -ne 0 ] || printf '%s public functions, all of them exported and nothing else\n' "$(wc -l <"$work/api")"
exit $status
