#!/bin/sh
# changes.sh PYTHON SOURCE-DIR CC - scripts/abi finds each kind of change. All are made in a copy of
# the headers; the differences that it prints must show each of them.
set -eu
python=$1 root=$2 cc=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
cp -R "$root/include" "$work/include"

# change HEADER SED-EXPRESSION LINE - LINE: an extended regular expression for a difference
change() {
    cp "$work/include/leat/$1" "$work/before"
    sed -i "$2" "$work/include/leat/$1"
    if cmp -s "$work/before" "$work/include/leat/$1"; then
        printf '%s does not fit leat/%s any more\n' "$2" "$1"
        status=1
    fi
    printf '%s\n' "$3" >>"$work/lines"
}

# a field is moved, added, widened
change channel.h '/^typedef struct leat_message {/a int before;' '^\+ +8 +8 +data: void const'
change view.h '/^} leat_view_info;/i int behind[2];' '^\+ +[0-9]+ +8 +behind: int\[2\]'
change region.h '/^typedef struct leat_type {/,/^}/s/uint32_t version/uint64_t version/' \
    '^\+ +16 +8 +version: uint64_t'
# an enumerator and a macro have another value
change base.h 's/LEAT_GLOBAL = 1/LEAT_GLOBAL = 2/' '^\+ +LEAT_GLOBAL = 2'
change base.h '/^#define LEAT_FOREVER/s/UINT64_MAX/(UINT64_MAX - 1)/' '^\+ +18446744073709551614'
# a parameter has another type
change base.h 's/leat_in_ms(uint64_t/leat_in_ms(uint32_t/' '^\+ +uint64_t \(uint32_t\)'

code=0
"$python" "$root/scripts/abi" --cc "$cc" --headers "$work/include" >"$work/differences" || code=$?
[ $code -ne 77 ] || exit 77
printf '%s\n' 'scripts/abi --accept' >>"$work/lines" # it says how to go on
while read -r line; do
    if ! grep -E -e "$line" "$work/differences" >/dev/null; then
        printf 'no line "%s" among the differences\n' "$line"
        status=1
    fi
done <"$work/lines"
if [ $code -ne 1 ] || [ $status -ne 0 ]; then
    printf 'exit status %s, and these differences:\n' "$code"
    cat "$work/differences"
    status=1
fi
exit $status
