#!/bin/bash
# Turns the /usr/local of several Python images into /opt/python/3.X, trimmed, compiled and tried.
set -euo pipefail

# Python 3.6 has a public image on Debian 11 only, and links against that release's OpenSSL and libffi.
find /build/lib36 \( -name 'libssl.so.1.1' -o -name 'libcrypto.so.1.1' -o -name 'libffi.so.7*' \) \
    -exec cp --no-dereference {} /opt/python/3.6/lib/ \;

for prefix in /opt/python/*; do
    version=${prefix##*/}
    if [ ! -x "$prefix/bin/python$version" ]; then
        rm -rf "$prefix" # this version was left out
        continue
    fi
    lib=$prefix/lib/python$version
    rm -rf "$prefix"/{etc,games,man,sbin,share,src,lib/*.a} \
        "$lib"/{test,idlelib,turtledemo,tkinter,lib2to3/tests,config-*/*.a,site-packages}
    find "$lib" -depth \( -name __pycache__ -o -name test -o -name tests \) -type d -exec rm -rf {} +
    find "$prefix/bin" -mindepth 1 ! -name "python$version*" ! -name python3 ! -name python -delete
    ln -sf "python$version" "$prefix/bin/python3"
    ln -sf python3 "$prefix/bin/python"
    mkdir -p "$lib/site-packages"
    grep -rIlZ /usr/local "$prefix/bin" "$lib"/_sysconfigdata* "$lib"/config-* "$prefix/lib/pkgconfig" 2>/dev/null |
        xargs -0r sed -i "s#/usr/local#$prefix#g"
    printf '%s/lib\n' "$prefix"
done > /etc/ld.so.conf.d/opt-python.conf
ldconfig

for prefix in /opt/python/*; do
    python=$prefix/bin/python${prefix##*/}
    "$python" -c 'import bz2, ctypes, curses, hashlib, lzma, multiprocessing, readline, sqlite3, ssl, uuid, venv, zlib' || {
        echo "$python does not run on this base image: it was built for another system" >&2
        exit 1
    }
    # Nobody can write here later, so without this every start would compile the standard library again.
    "$python" -m compileall -q -j 0 "$prefix/lib" > /dev/null || true # lib2to3 has files that are meant to fail
done
