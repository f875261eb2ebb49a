# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh) for tests/long/checkpoint-lab: the same stock kernel with lguest-sep --checkpoint and with
# QEMU's snapshots, in one run. Prints "NAME MICROSECONDS" for each measurement.
up() { cut -d ' ' -f 1 /proc/uptime; }
took() { # NAME START [TIMES]
	echo "$1 $2 $(up) ${3:-1}" | awk '{ printf "%s %d\n", $1, ($3 - $2) * 1000000 / $4 }'
}
dd if=/dev/zero of=/tmp/disk bs=1M count=16 2>/dev/null
chmod 644 /tmp/disk
args="console=ttyS0 quiet mitigations=off panic=-1"

start=$(up)
# shellcheck disable=SC2086
lguest-sep --engine=kvm --drop-to nobody --checkpoint --resets=300 --stats --timeout=1000 --block=/tmp/disk,snapshot --tunnet=10.99.0.1/24 \
	--initrd=guest.initrd 192 vmlinuz $args < /dev/null 2>&1 | while read -r line; do
	echo "$line" >> /tmp/ours
	case $line in *"T: up"*) took ours-boot "$start" ;; esac
done
grep -E 'FAILED|no answer' /tmp/ours
tr -d '\r' < /tmp/ours | awk '
	/microseconds: (memory|the rest) of resets$/ { us += $3 }
	/  resets$/ { n = $3 }
	/pages that resets took back$/ { pages = $3 }
	END { if (n) printf "ours-reset %d\nours-resets %d\nours-pages %d\n", us / n, n, pages / n }'

# QEMU's monitor: one request a line, one answer a line
ask() { # COMMAND
	echo "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"$1\"}}" >&3
	answer
}
answer() {
	while read -r line <&4; do
		case $line in
		'{"return": ""}'*) return ;;
		'{"return": {}}'*) return ;;
		'{"return"'* | '{"error"'*) echo "qemu: $line"; return ;;
		esac
	done
}
qemu() { # [OPTION...]: starts it; returns when the monitor answers
	mkfifo /tmp/qmp.in /tmp/qmp.out
	# shellcheck disable=SC2086
	qemu-system-x86_64 -M pc -accel kvm -cpu host -m 192 -nodefaults -nographic -serial file:/tmp/serial -no-reboot \
		-qmp pipe:/tmp/qmp -drive file=disk.qcow2,if=virtio,format=qcow2 -kernel vmlinuz -initrd guest.initrd \
		-append "$args only-disk" "$@" > /tmp/qemu.log 2>&1 < /dev/null &
	pid=$!
	exec 3> /tmp/qmp.in 4< /tmp/qmp.out
	echo '{"execute":"qmp_capabilities"}' >&3
	answer
}
gone() {
	kill $pid
	wait $pid
	exec 3>&- 4<&-
	rm -f /tmp/qmp.in /tmp/qmp.out
}
: > /tmp/serial
start=$(up)
qemu
while ! grep -q 'T: up' /tmp/serial; do usleep 1000; done
took qemu-boot "$start"
while ! grep -q 'T: busy' /tmp/serial; do usleep 100000; done
start=$(up)
ask "savevm a"
took qemu-savevm "$start"
start=$(up)
for _ in 1 2 3 4 5; do ask "loadvm a"; done
took qemu-loadvm "$start" 5
gone
start=$(up)
qemu -loadvm a
took qemu-start-loadvm "$start"
gone
cat /tmp/qemu.log
