#!/bin/sh
# instructions.sh BUILD [NAME] - how many instructions one message takes, sent and received, in BUILD (a build folder with
# benchmarks). Exact and repeatable for one compiler: callgrind counts them, so it does not matter what else the machine does. The loops
# around the calls are counted too; the first column is what they take by themselves. valgrind passes for an Intel processor, so it is
# Intel's row of channels/queue/processor.c that is counted, unless the table is changed for it. With NAME, adds the line to bench/instructions.txt under that name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
program=$1/bench/leat_bench_instructions
messages=16000
LEAT_DIR=$(mktemp -d "${TMPDIR:-/tmp}/leat-instructions.XXXXXX")
export LEAT_DIR
trap 'rm -rf "$LEAT_DIR"' EXIT INT TERM
command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed (Debian: valgrind)" >&2; exit 1; }
[ -x "$program" ] || { echo "instructions.sh: $program is not there: build with -DLEAT_BUILD_BENCH=ON" >&2; exit 1; }

# count WAY SIZE MESSAGES
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$@" 2>&1 | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# The difference of two runs leaves out what is done once.
per_message() {
    twice=$(count "$1" "$2" $((2 * messages)))
    once=$(count "$1" "$2" $messages)
    awk "BEGIN {printf \"%.1f\", ($twice - $once) / $messages}"
}

line=$(printf '%-28s' "${2:-$1}")
line="$line $(printf '%8s' "$(per_message loop 8)")"
for way in copy inline many place place_inline; do
    for size in 8 64 1024; do
        line="$line $(printf '%8s' "$(per_message $way $size)")"
    done
done
echo "$line"
[ $# -lt 2 ] || echo "$line" >>"$here/instructions.txt"
