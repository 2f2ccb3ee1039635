# What the scripts of the captures share. `capture` gives GROUP, the directory of the control group that
# it watches, and WORK, an empty directory.
set -eu

# A container's id, as engines make them.
ID=c0ffee0123456789abcdef0123456789abcdef0123456789abcdef0123456789

# in_group PROGRAM ARGUMENT…: runs it in the group that is watched. What joins it is this shell's child,
# of which nothing is seen but the program.
in_group() (
    echo 0 >"$GROUP/cgroup.procs"
    exec "$@"
)

# container SCRIPT [BYTES]: runs a shell script in a container of runc on an overlay, without network,
# with at most BYTES of memory.
container() {
    mkdir -p "$WORK/image/bin" "$WORK/image/dev" "$WORK/image/etc" "$WORK/image/proc" "$WORK/image/tmp"
    cp /bin/busybox "$WORK/image/bin/busybox"
    for name in cat cp dd ln nc sh; do
        ln "$WORK/image/bin/busybox" "$WORK/image/bin/$name"
    done
    echo 'root:*:20000:0:99999:7:::' >"$WORK/image/etc/shadow"
    mkdir "$WORK/bundle"
    # One line of JSON, whatever the lines of the script.
    script=$(echo "$1" | tr '\n' ';' | sed 's/^;//; s/;;*$//; s/;/; /g')
    limit=${2:+,\"resources\":{\"memory\":{\"limit\":$2,\"swap\":$2\}\}}
    cat >"$WORK/bundle/config.json" <<JSON
{"ociVersion": "1.0.2",
 "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh", "-c", "$script"], "env": ["PATH=/bin"], "cwd": "/"},
 "root": {"path": "rootfs"},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
 "linux": {"cgroupsPath": "/${GROUP##*/}/$ID",
   "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}]$limit}}
JSON
    mkdir "$WORK/layers" "$WORK/bundle/rootfs"
    unshare -m sh -euc '
        mount -t tmpfs layers "$1/layers"
        mkdir "$1/layers/upper" "$1/layers/work"
        mount -t overlay -o "lowerdir=$1/image,upperdir=$1/layers/upper,workdir=$1/layers/work" overlay "$1/bundle/rootfs"
        runc --root "$1/state" run --bundle "$1/bundle" "$2"
    ' sh "$WORK" "$ID"
}
