# A process in a container that asks for more memory than the container may have.
. "${0%/*}/lib.sh"
container '/bin/dd if=/dev/zero of=/dev/null bs=256M count=1; exit 0' 16777216
