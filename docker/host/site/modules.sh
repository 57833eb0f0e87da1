# Makes `module` and the proxies known to this shell, and to the shells that it starts.
if [ -n "${BASH_VERSION:-}" ] && ! declare -F module > /dev/null; then
    . /opt/simcluster/module-functions.sh
    . /opt/simcluster/proxies.sh
    # Only if unset: a shell between may have lost the functions, but not what is loaded.
    export MODULEPATH="${MODULEPATH-/opt/modulefiles}" LOADEDMODULES="${LOADEDMODULES-}"
    export BASH_ENV=/opt/simcluster/modules.sh
fi
