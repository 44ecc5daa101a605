#!/bin/sh
# readme_example.sh README INCLUDE_DIR LIBRARY_DIR [COMPILER [FLAGS...]]
#
# Takes the first C program out of the README, or of another page, compiles it as a reader would, with warnings fatal, and runs both of its
# roles: "recv" in one process and "send" in another, in this order and in the other. Both have to succeed, and the receiver
# to say something.
# 77 (skipped) when there is no README with a C program.
set -eu
readme=$1 include=$2 library=$3
shift 3
work=$(mktemp -d)
LEAT_DIR=$(mktemp -d /dev/shm/leat-test-readme-XXXXXX)
export LEAT_DIR LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
started=
finish() {
    [ -z "$started" ] || kill "$started" 2>/dev/null || :
    rm -rf "$work" "$LEAT_DIR"
}
trap finish EXIT

[ -f "$readme" ] || { echo "no $readme"; exit 77; }
awk '/^```c$/ { on = 1; next } /^```/ { if (on) exit } on' "$readme" >"$work/example.c"
[ -s "$work/example.c" ] || { echo "no C program in $readme"; exit 77; }
"${1:-cc}" -std=c11 -Wall -Wextra -Werror -I"$include" "$work/example.c" -o "$work/example" -L"$library" -lleat ${2+"$2"}

for order in "recv send" "send recv"; do
    first=${order% *} second=${order#* }
    timeout 20 "$work/example" "$first" >"$work/$first" &
    started=$!
    timeout 20 "$work/example" "$second" >"$work/$second" || { echo "$second failed"; exit 1; }
    wait "$started" || { echo "$first failed"; exit 1; }
    started=
    [ -s "$work/recv" ] || { echo "the receiver said nothing"; exit 1; }
    echo "$first, then $second: $(wc -l <"$work/recv") lines received"
done
left=$(ls -A "$LEAT_DIR")
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
