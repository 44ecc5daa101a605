#!/bin/sh
# prefix.sh CMAKE BUILD-DIR PREFIX - installs into the prefix, emptied first, and looks whether all is there.
set -eu
cmake=$1 build=$2 prefix=$3
rm -rf "$prefix"
"$cmake" --install "$build" --prefix "$prefix"

status=0
for pattern in 'libleat.so' 'libleat.so.*.*' 'libleat.so.*.*.*' 'libleat.a' 'leat.pc' 'leat-config.cmake' \
    'leat-config-version.cmake' 'leat-targets.cmake' 'leat.h' 'base.h' 'error.h' 'object.h' 'region.h' 'remote.h' 'view.h' 'channel.h' 'inline.h' 'sync.h' 'waitset.h' 'libleat_remote.so' 'libleat_remote.so.*.*' 'libleat_remote.a' 'leat_remote.pc' 'leat-remote-targets.cmake' \
    'libleat_uv.so' 'libleat_uv.so.*.*' 'libleat_uv.a' 'leat_uv.pc' 'leat-uv-targets.cmake' 'uv.h'; do
    if [ -z "$(find "$prefix" -name "$pattern")" ]; then
        printf 'not installed: %s\n' "$pattern"
        status=1
    fi
done
# An installed file that knows the source or build tree breaks as soon as those are gone. (Debug information may.)
if grep -r -l -I -F -e "$build" "$prefix"; then
    printf 'these files name the build tree %s\n' "$build"
    status=1
fi
# A library that is loaded by its path finds the libleat beside it, wherever the tree is.
for library in $(find "$prefix" -name 'libleat_*.so'); do
    if ! env -u LD_LIBRARY_PATH ldd "$library" | grep -F "=> ${library%/*}/libleat.so" >/dev/null; then
        printf '%s does not find libleat\n' "$library"
        status=1
    fi
done
# The command finds its library wherever the tree is.
if [ -x "$prefix/bin/leat" ]; then
    "$prefix/bin/leat" --help >/dev/null || { printf 'the installed leat command does not run\n'; status=1; }
fi
exit $status
