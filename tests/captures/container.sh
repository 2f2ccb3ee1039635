# What somebody does who got into a container.
. "${0%/*}/lib.sh"
container '/bin/cat /etc/shadow >/dev/null; /bin/cp /bin/busybox /etc/agent; /bin/cp /bin/busybox /tmp/agent; /tmp/agent true; /bin/nc 169.254.169.254 80 </dev/null; exit 0'
