# A sensitive file by its own name, behind a symbolic link, and through /proc/self/root.
. "${0%/*}/lib.sh"
ln -s /etc/shadow "$WORK/innocent"
for name in /etc/shadow "$WORK/innocent" /proc/self/root/etc/shadow; do
    in_group busybox head -c 1 "$name" >/dev/null
done
# What is not there, and what no rule is about.
in_group busybox head -c 1 /etc/shadow.not-there 2>/dev/null || true
in_group busybox head -c 1 /etc/hostname >/dev/null
