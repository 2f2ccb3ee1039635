# A program in shared memory, with an argument list of 20 KiB.
. "${0%/*}/lib.sh"
directory=/dev/shm/sensor-capture
mkdir "$directory"
trap 'rm -r "$directory"' EXIT
cp /bin/busybox "$directory/true"
in_group "$directory/true" "$(head -c 20480 /dev/zero | tr '\0' x)"
in_group busybox sh -c 'busybox true; exit 3' || true
