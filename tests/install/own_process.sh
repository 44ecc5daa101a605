#!/bin/sh
# own_process.sh CC SHARED-LIBRARY - libleat makes no system call that reaches another process: none
# that stops, reads or writes one, takes a descriptor from one, sends a signal, starts a program or
# loads code. (leat_remote makes some of these, which is why it is a library of its own.)
#
# Of the library as it is shipped: what it imports from the C library; by which numbers it calls
# syscall(2), each of which must be found in its code (x86-64; elsewhere that part is left out, and
# said so); and that it has no such instruction of its own.
set -eu
LC_ALL=C
export LC_ALL
cc=$1 shared=$2
status=0
processes='ptrace|process_.*|pidfd_.*|waitp?id|wait[34]?'
signals='kill|killpg|tgkill|pthread_kill|pthread_sigqueue|sigqueue'
programs='v?fork|_Fork|clone|exec.*|fexecve|posix_spawn.*|system|popen|dlm?open|dlv?sym'
by_number='futex futex_waitv geteuid gettid membarrier mlock munlock statx'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --undefined-only "$shared" | sed 's/.* U //; s/@.*//' >"$work/imports"
if [ "$(wc -l <"$work/imports")" -lt 50 ]; then
    printf 'nm does not list what %s imports\n' "$shared"
    status=1
fi
if grep -E -x "$processes|$signals|$programs" "$work/imports" >"$work/found"; then
    printf 'the library imports: %s\n' "$(tr '\n' ' ' <"$work/found")"
    status=1
fi

# The numbers, as the last constant that went into the first argument before each call.
if readelf -h "$shared" | grep -F X86-64 >/dev/null; then
    objdump -d --no-show-raw-insn "$shared" >"$work/code"
    awk '/^[0-9a-f]+ <.*>:$/ { number = "unknown"; name = $2 }
        /\t(syscall|sysenter|int +\$0x80)/ { print "instruction", name; next }
        /mov +\$0x[0-9a-f]+,%[er]di$/ { number = $NF; gsub(/.*\$0x|,.*/, "", number); next }
        /,%[er]di$/ && !/\t(cmp|test)/ { number = "unknown" }
        /\t(call|jmp) .*<syscall@plt>/ { print number, name; number = "unknown"; next }
        /\tcall/ { number = "unknown" }' "$work/code" >"$work/numbers"
    printf '#include <sys/syscall.h>\n' | "$cc" -E -dM - |
        awk '$2 ~ /^__NR_/ && $3 ~ /^[0-9]+$/ { printf "%x %s\n", $3, substr($2, 6) }' >"$work/names"
    if [ "$(wc -l <"$work/numbers")" -lt 10 ]; then
        printf 'its calls of syscall(2) are not found\n'
        status=1
    fi
    while read -r number function; do
        name=$(awk -v number="$number" '$1 == number { print $2 }' "$work/names")
        case " $by_number " in
        *" ${name:-?} "*) ;;
        *)
            printf '%s makes the system call %s (%s) by its number\n' "$function" "${name:-?}" "$number"
            status=1
            ;;
        esac
    done <"$work/numbers"
    calls="$(wc -l <"$work/numbers") calls by number"
else
    calls="calls by number not looked at (not x86-64)"
fi

if [ $status -eq 0 ]; then
    printf '%s imports, %s: none reaches another process\n' "$(wc -l <"$work/imports")" "$calls"
fi
exit $status
