# The command `module`, for sh and bash: modules are directories of programs under $SIMCLUSTER_MODULES.
# It prints as Lmod does: to stderr, errors with exit code 1. Of its options there is -t, for listings without ornament.

module() {
    _module_terse=
    case ${1:-} in -t | --terse) _module_terse=1; shift ;; esac
    _module_command=${1:-help}
    [ $# -eq 0 ] || shift
    case $_module_command in
    load | add) for _module in "$@"; do _module_load "$_module" || return 1; done ;;
    unload | rm | del) for _module in "$@"; do _module_unload "$_module"; done ;;
    swap | switch) _module_unload "$1" && _module_load "${2:-$1}" ;;
    purge) while [ -n "${LOADEDMODULES:-}" ]; do _module_unload "${LOADEDMODULES%%:*}"; done ;;
    list | avail | av) _module_print "$_module_command" "${1:-}" >&2 ;;
    *)
        echo "module: '$_module_command' is none of load, unload, swap, purge, list, avail" >&2
        return 1
        ;;
    esac
}

_module_load() {
    _module_name=$1
    if [ -r "$SIMCLUSTER_MODULES/$_module_name/.default" ]; then
        read -r _module_default <"$SIMCLUSTER_MODULES/$_module_name/.default"
        _module_name=$_module_name/$_module_default
    fi
    if [ ! -d "$SIMCLUSTER_MODULES/$_module_name/bin" ]; then
        echo "Lmod has detected the following error:  The following module(s) are unknown: \"$1\"" >&2
        return 1
    fi
    _module_unload "${_module_name%%/*}"
    PATH=$SIMCLUSTER_MODULES/$_module_name/bin:$PATH
    LOADEDMODULES=${LOADEDMODULES:+$LOADEDMODULES:}$_module_name
    export PATH LOADEDMODULES
}

# Takes "python" or "python/3.6"; what is not loaded is no error.
_module_unload() {
    _module_left=
    _module_rest=${LOADEDMODULES:-}
    while [ -n "$_module_rest" ]; do
        _module_one=${_module_rest%%:*}
        case $_module_rest in *:*) _module_rest=${_module_rest#*:} ;; *) _module_rest= ;; esac
        case $_module_one in
        "$1" | "$1"/*) _module_forget "$SIMCLUSTER_MODULES/$_module_one/bin" ;;
        *) _module_left=${_module_left:+$_module_left:}$_module_one ;;
        esac
    done
    LOADEDMODULES=$_module_left
    export LOADEDMODULES
}

_module_forget() {
    _module_path=:$PATH:
    case $_module_path in
    *":$1:"*) _module_path=${_module_path%%":$1:"*}:${_module_path#*":$1:"} ;;
    esac
    _module_path=${_module_path#:}
    PATH=${_module_path%:}
    export PATH
}

_module_print() {
    if [ "$1" = list ]; then
        if [ -z "${LOADEDMODULES:-}" ]; then
            echo "No modules loaded"
            return
        fi
        echo
        echo "Currently Loaded Modules:"
        _module_number=0
        _module_rest=$LOADEDMODULES
        while [ -n "$_module_rest" ]; do
            _module_number=$((_module_number + 1))
            echo "  $_module_number) ${_module_rest%%:*}"
            case $_module_rest in *:*) _module_rest=${_module_rest#*:} ;; *) _module_rest= ;; esac
        done
        return
    fi
    if [ "$_module_terse" ]; then
        echo "$SIMCLUSTER_MODULES:"
    else
        echo
        echo "---- $SIMCLUSTER_MODULES ----"
    fi
    for _module_one in "$SIMCLUSTER_MODULES"/*/*/; do
        _module_one=${_module_one%/}
        _module_one=${_module_one#"$SIMCLUSTER_MODULES"/}
        case $_module_one in
        *"$2"*) if [ "$_module_terse" ]; then echo "$_module_one"; else echo "   $_module_one"; fi ;;
        esac
    done
}
