#!/bin/sh
# exports.sh CC INCLUDE-DIR ABI-VERSION HEADER SHARED-LIBRARY STATIC-LIBRARY [USER-LIBRARY...]
#
# The functions that the header declares, those that it declares LEAT_API and those that the shared library exports are the
# same; of a header other than leat/leat.h, those that this one does not declare. Besides them a library exports, under the
# version LEAT_PRIVATE, what the other libraries of leat, its users, need, and nothing that they do not. The static library
# defines no global name that does not start with leat_; the shared one gives each name a version,
# carries its own in its SONAME, and needs nothing but the C library, libleat and, for leat/uv.h, libuv.
set -eu
LC_ALL=C
export LC_ALL
cc=$1 include=$2 abi=$3 header=$4 shared=$5 static=$6
shift 6
name=${static##*/}
name=${name%.a}
also=
[ "$header" != leat/uv.h ] || also="|libuv"
status=0

# fail WHAT LIST - the list's lines become one
fail() {
    printf '%s: %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')"
    status=1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# declarations HEADER - each on its own, marked "api" when LEAT_API stood before it
declarations() {
    printf '#define _GNU_SOURCE 1\n#include "%s"\n' "$1" | "$cc" -E -P -I"$include" -x c - | awk 'BEGIN { RS = ";" }
        match($0, /leat_[a-z0-9_]+[ \n]*\(/) {
            name = substr($0, RSTART, RLENGTH - 1)
            sub(/[ \n]+$/, "", name)
            if (!index(substr($0, 1, RSTART), "static inline")) # compiled into the caller
                print (index($0, "visibility(\"default\")") ? "api" : "not-api"), name
        }' | sort
}

declarations leat/leat.h >"$work/core"
declarations "$header" >"$work/declarations"
if [ "$header" = leat/leat.h ]; then
    least=50
else
    least=1
    comm -23 "$work/declarations" "$work/core" >"$work/own"
    mv "$work/own" "$work/declarations"
fi
sed -n 's/^api //p' "$work/declarations" | sort >"$work/api"
not_api=$(sed -n 's/^not-api //p' "$work/declarations")
[ -z "$not_api" ] || fail "declared without LEAT_API" "$not_api"
[ "$(wc -l <"$work/api")" -ge $least ] || fail "only these public functions were found in the headers" "$(cat "$work/api")"

nm -D --defined-only "$shared" | awk '$2 != "A" { print $3 }' >"$work/all"
grep -v '@LEAT_PRIVATE$' "$work/all" | sed 's/@.*//' | sort >"$work/exports"
missing=$(comm -23 "$work/api" "$work/exports")
[ -z "$missing" ] || fail "declared LEAT_API and not exported (see the library's map)" "$missing"
extra=$(comm -13 "$work/api" "$work/exports")
[ -z "$extra" ] || fail "exported and not declared LEAT_API (see the library's map)" "$extra"

unversioned=$(nm -D --defined-only "$shared" | awk '$2 != "A" && $3 !~ /@/ { print $3 }')
[ -z "$unversioned" ] || fail "exported without a symbol version" "$unversioned"

sed -n 's/@@*LEAT_PRIVATE$//p' "$work/all" | sort >"$work/private"
for user in "$@"; do
    nm -D --undefined-only "$user" | sed -n 's/.* U \(.*\)@LEAT_PRIVATE$/\1/p'
done | sort -u >"$work/needed"
unused=$(comm -23 "$work/private" "$work/needed")
[ -z "$unused" ] || fail "exported as private and used by no library of leat (see lib/leat.map)" "$unused"

foreign=$(nm -g --defined-only "$static" | awk 'NF == 3 && $3 !~ /^leat_/ { print $3 }')
[ -z "$foreign" ] || fail "global names of the static library that do not start with leat_" "$foreign"

readelf -d "$shared" >"$work/dynamic"
grep -F "Library soname: [$name.so.$abi]" "$work/dynamic" >/dev/null || fail "the SONAME should be $name.so.$abi" "$(grep -F SONAME "$work/dynamic")"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' "$work/dynamic" | grep -v -E "^(libc|libpthread|librt|libleat|ld-.*$also)\.so") || :
[ -z "$needed" ] || fail "the shared library needs more than the C library and libleat$also" "$needed"

[ $status -ne 0 ] || printf '%s public functions and %s private ones, all of them exported and nothing else\n' "$(wc -l <"$work/api")" "$(wc -l <"$work/private")"
exit $status
