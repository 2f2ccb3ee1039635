# A shell that connects to another host, which is an address of a network of its own.
. "${0%/*}/lib.sh"
export GROUP
unshare -n sh -euc '
    ip="busybox ip"
    $ip link set lo up
    $ip address add 198.51.100.7/32 dev lo
    busybox nc -l -p 4444 >/dev/null &
    while ! busybox netstat -ltn | grep -q :4444; do :; done
    (echo 0 >"$GROUP/cgroup.procs"; exec bash -c "exec 3<>/dev/tcp/198.51.100.7/4444")
    (echo 0 >"$GROUP/cgroup.procs"; exec bash -c "exec 3<>/dev/tcp/198.51.100.7/4445") 2>/dev/null || true
    wait
'
