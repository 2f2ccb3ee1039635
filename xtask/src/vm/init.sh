#!/bin/busybox sh
# The guest's first process. The serial ports are: ttyS0 the kernel's console, ttyS1 and ttyS2 standard
# output and error of /payload/command, ttyS3 what this script reports: `up`, `status N`.
export PATH=/bin HOME=/root TERM=dumb
if [ -z "$MOVED" ]; then
    # runc cannot leave a root that is the initial one, so everything moves to another first.
    /bin/busybox mount -t tmpfs -o size=80% root /mnt
    for entry in /*; do
        [ $entry = /mnt ] || /bin/busybox cp -a $entry /mnt/
    done
    /bin/busybox mkdir -p /mnt/mnt
    export MOVED=1
    exec /bin/busybox switch_root /mnt /init
fi
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
ln -sf /proc/self/fd /dev/fd
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
# CGROUPS is an argument of the kernel: it hands on what it does not know itself.
if [ "${CGROUPS:-v2}" = v2 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo +$controller >/sys/fs/cgroup/cgroup.subtree_control
    done
else
    # What a kernel no longer has as v1 stays with v2.
    mount -t tmpfs cgroup /sys/fs/cgroup
    for controller in cpuset cpu,cpuacct blkio memory devices freezer pids; do
        mkdir /sys/fs/cgroup/$controller
        mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller || rmdir /sys/fs/cgroup/$controller
    done
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    if [ "$CGROUPS" = hybrid ]; then
        mkdir /sys/fs/cgroup/unified
        mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    fi
fi
for port in 1 2 3; do stty -F /dev/ttyS$port raw -echo; done
ip link set lo up
hostname guest
echo up >/dev/ttyS3
# A session of its own, or its process group would be that of the first process, which the kernel protects.
setsid sh /payload/command </dev/null >/dev/ttyS1 2>/dev/ttyS2
# On a line of its own, whatever was cut before it.
printf "\nstatus %s\n" $? >/dev/ttyS3
# What is still in the ports' buffers must reach the host.
for port in 1 2 3; do stty -F /dev/ttyS$port drain 2>/dev/null; done
reboot -f
