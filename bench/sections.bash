# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The sections of bench/run, one function each. Each appends lines
# "section|case|candidate|metric|value" to $raw.

# record SECTION CASE CANDIDATE: from the load generator's line of JSON
record()
{
	local line
	read -r line || { echo "bench: no result for $*" >&2; return 1; }
	tr -d '{}" ' <<< "$line" | tr ',' '\n' | awk -F: -v at="$1|$2|$3" '
		$1 ~ /^(ops_per_s|mib_per_s|cpu_us_per_op|kicks_per_op|calls_per_op|p50_us|p99_us|p999_us)$/ { print at "|" $1 "|" $2 }' >> "$raw"
}

put() { printf '%s|%s|%s|%s|%s\n' "$@" >> "$raw"; } # SECTION CASE CANDIDATE METRIC VALUE

# daemon COMMAND…: on processor 1, kept until stop_all
daemon()
{
	taskset -c 1 "${rt[@]}" "$@" &
	pids+=($!)
}

wait_socket() # PATH…
{
	local s n
	for s; do
		for ((n = 0; n < 100; n++)); do
			[[ -S $s ]] && continue 2
			sleep 0.05
		done
		echo "bench: nobody listens at $s" >&2
		return 1
	done
}

# ---- disks ----

qsd() # NAME IMAGE DIRECT AIO [QUEUES]
{
	daemon qemu-storage-daemon \
		--blockdev "driver=file,node-name=f,filename=$2,cache.direct=$3,aio=$4,locking=off" \
		--export "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$tmp/$1,writable=on,num-queues=${5:-1}"
}

blk_media() # SECTION IMAGE SIZE DIRECT(on|off)
{
	local section=$1 img=$2 size=$3 direct=$4 flag=() rep case args c
	[[ $direct == on ]] && flag=(--direct)
	local candidates=(blkd blkd-sync) bare=(preadv io_uring)
	# All candidates use the same image: its content never changes.
	daemon "$bin/lguest-sep-blkd" --socket-path="$tmp/blkd" --blk-file="$img" --lock=off "${flag[@]}"
	daemon "$bin/lguest-sep-blkd" --socket-path="$tmp/blkd-sync" --blk-file="$img" --lock=off --io=sync "${flag[@]}"
	if [[ $direct == on ]]; then
		bare+=(io_uring-guest)
		# Empty the page cache first, so that the first writes do not have to.
		sync "$img"
		dd if="$img" iflag=nocache count=0 status=none
	fi
	if command -v qemu-storage-daemon > /dev/null; then
		qsd qsd-threads "$img" "$direct" threads
		candidates+=(qsd-threads)
		# QEMU supports io_uring with and without the page cache, native AIO only without it.
		qsd qsd-io_uring "$img" "$direct" io_uring
		candidates+=(qsd-io_uring)
	fi
	wait_socket "${candidates[@]/#/$tmp/}"
	local cases=("4k read d1:--depth=1" "4k read d32:--depth=32" "4k write d1:--depth=1 --write" "4k write d32:--depth=32 --write")
	# A driver that polls its ring is never interrupted.
	[[ $direct == on ]] || cases+=("4k read d32, polled:--depth=32 --poll" "4k write d32, polled:--depth=32 --write --poll")
	((quick)) || cases+=("128k seq read d8:--bs=128k --depth=8 --sequential" "128k seq write d8:--bs=128k --depth=8 --sequential --write")
	for ((rep = 0; rep < reps; rep++)); do
		for case in "${cases[@]}"; do
			read -ra args <<< "${case#*:}"
			args+=(--size="$size" --ms="$ms" --seed=$((rep + 1)))
			for c in "${candidates[@]}"; do
				"${rt[@]}" "$blkload" --socket="$tmp/$c" --cpu=0 "${args[@]}" | record "$section" "${case%%:*}" "$c"
			done
			for c in "${bare[@]}"; do
				"${rt[@]}" "$blkload" --file="$img" --api=$c --cpu=1 "${flag[@]}" "${args[@]}" |
					record "$section" "${case%%:*}" "bare-$c"
			done
		done
	done
}

measure_blk_cached()
{
	"$blkload" --fill="$tmp/shm/img" --size=256M
	blk_media blk-cached "$tmp/shm/img" 256M off
	rm -f "$tmp/shm/img"
}

measure_blk_disk()
{
	# Direct writes complete in the kernel's worker threads, which need CPU 1 as well: use normal priority.
	local rt=()
	"$blkload" --fill="$disk" --size=$((quick ? 256 : 1024))M
	blk_media blk-disk "$disk" $((quick ? 256 : 1024))M on
}

# ---- networks ----

new_tap() # NAME
{
	ip tuntap add "$1" mode tap vnet_hdr
	echo 1 > "/proc/sys/net/ipv6/conf/$1/disable_ipv6"
	ip link set "$1" up txqueuelen 1000
}

# DPDK's vhost library and its tap driver, which uses no header on the tap and so no segmentation. It polls
# all the time, so it is stopped (SIGSTOP) while it is not measured.
start_testpmd()
{
	command -v dpdk-testpmd > /dev/null || { echo "bench/run: no dpdk-testpmd here (apt-get install dpdk-dev librte-net-vhost23 librte-net-tap23): left out" >&2; return 1; }
	taskset -c 0,1 "${rt[@]}" dpdk-testpmd -l 0,1 --no-huge -m 256 --no-pci --file-prefix="bench$$" \
		"--vdev=net_vhost0,iface=$tmp/testpmd,tso=0" --vdev=net_tap0,iface=bench2 \
		-- --forward-mode=io --auto-start --total-num-mbufs=8192 --no-mlockall > "$tmp/testpmd.log" 2>&1 < <(exec sleep 3600) &
	pids+=($!)
	wait_socket "$tmp/testpmd" || return 1
	sleep 1
	echo 1 > /proc/sys/net/ipv6/conf/bench2/disable_ipv6
	ip link set bench2 up
	testpmd=$(pgrep -n dpdk-testpmd)
	kill -STOP "$testpmd"
}

measure_net()
{
	local rep size c dir flags buffers testpmd=
	new_tap bench0
	new_tap bench1
	daemon "$bin/lguest-sep-netd" --socket-path="$tmp/netd" --tap=bench0 --mac=02:00:00:00:00:01
	wait_socket "$tmp/netd"
	start_testpmd || testpmd=
	for ((rep = 0; rep < reps; rep++)); do
		for size in 64 512 1514 65214; do
			((quick && size == 512)) && continue
			for dir in "guest to tap" "tap to guest"; do
				flags=(--size="$size" --ms="$ms")
				[[ $dir == tap* ]] && flags+=(--receive)
				c="$dir, $size B"
				"${rt[@]}" "$netload" --socket="$tmp/netd" --tap=bench0 --cpu=0 "${flags[@]}" | record net "$c" netd
				"${rt[@]}" "$netload" --tap=bench1 --cpu=1 "${flags[@]}" | record net "$c" bare
				if [[ -n $testpmd ]] && ((size <= 1514)); then
					kill -CONT "$testpmd"
					"${rt[@]}" "$netload" --socket="$tmp/testpmd" --tap=bench2 --cpu=0 "${flags[@]}" | record net "$c" dpdk-testpmd
					kill -STOP "$testpmd"
				fi
				# As much memory as a queue has: 128 frames in two pieces each, or 256 receive buffers of 4 KiB.
				buffers=256
				((size > 1514)) && buffers=$([[ $dir == tap* ]] && echo 16 || echo 128)
				"${rt[@]}" "$netload" --tap=bench1 --cpu=1 --buffers="$buffers" "${flags[@]}" | record net "$c" bare-queue-buffers
			done
		done
		for dir in "guest to tap" "tap to guest"; do
			flags=(--size=64 --ms="$ms" --latency)
			[[ $dir == tap* ]] && flags+=(--receive)
			c="$dir, 64 B, d1"
			"${rt[@]}" "$netload" --socket="$tmp/netd" --tap=bench0 --cpu=0 "${flags[@]}" | record net-latency "$c" netd
			"${rt[@]}" "$netload" --tap=bench1 --cpu=1 "${flags[@]}" | record net-latency "$c" bare
			[[ -n $testpmd ]] || continue
			kill -CONT "$testpmd"
			"${rt[@]}" "$netload" --socket="$tmp/testpmd" --tap=bench2 --cpu=0 "${flags[@]}" | record net-latency "$c" dpdk-testpmd
			kill -STOP "$testpmd"
		done
	done
	if [[ -n $testpmd ]]; then kill -KILL "$testpmd"; fi
}

# ---- whole guests ----

# roles PID: "role pid" of every process of that lguest-sep
roles()
{
	local p
	for p in $(pgrep -P "$1") $(pgrep -P "$1" | xargs -r -n1 pgrep -P); do
		[[ -r /proc/$p/exe ]] && echo "$(basename "$(readlink "/proc/$p/exe")" | sed 's/^lguest-sep-//; s/^qemu-system.*/qemu/; s/ (deleted)//') $p"
	done
	echo "supervisor $1"
}

pss() # PID: KiB beside shared memory, which is the guest's
{
	awk '/^Pss:/ { p = $2 } /^Pss_Shmem:/ { s = $2 } END { print p - s }' "/proc/$1/smaps_rollup" || echo 0
}

# phases FILE SECTION CANDIDATE: from the --verbose line, in milliseconds
phases()
{
	sed -n 's/.*start-up: //p' "$1" | tr -d '\r' | awk -v section="$2" -v candidate="$3" '
		{ n = split($0, part, /[,:] /)
		  for (i = 1; i <= n; i++) {
			us = part[i]; sub(/ us$/, "", us); sub(/.* /, "", us)
			name = part[i]; sub(/ (after )?[0-9]+ us$/, "", name)
			print section "|" name "|" candidate "|ms|" us / 1000 } }' >> "$raw"
}

engines()
{
	[[ -c /dev/kvm ]] && echo kvm
	command -v qemu-system-x86_64 > /dev/null && [[ -e .cache/kernel/vmlinuz ]] && echo qemu
	return 0
}

guest() # ENGINE [NIC]: the words that start a guest of 1 disk and 1 NIC; NIC is its option, or none
{
	# Each guest has a disk of its own: a killed guest keeps its lock until its last I/O has completed.
	local disk=$tmp/shm/disk$((ndisks += 1))
	truncate -s 64M "$disk"
	chmod 666 "$disk"
	local common=(--verbose --drop-to nobody --no-reboot "--block=$disk")
	[[ ${2:-} == none ]] || common+=("${2:---tunnet=10.9.9.1/24}")
	if [[ $1 == kvm ]]; then
		guest=("$bin/lguest-sep" --engine=kvm "${common[@]}" 32 "$build/bench/idle")
	else
		guest=("$bin/lguest-sep" --engine=qemu "${common[@]}" --initrd="$tmp/initrd" 256 "$tmp/vmlinuz" console=hvc0 quiet no_timer_check)
	fi
}

ndisks=0
prepare_guest()
{
	cp "$build/bench/idle" "$tmp/"
	[[ -e .cache/kernel/vmlinuz ]] && cp .cache/kernel/vmlinuz "$tmp/vmlinuz"
	[[ -e .cache/initrd ]] && cp .cache/initrd "$tmp/initrd"
	return 0
}

# start_guest NAME [COMMAND…]: runs "${guest[@]}"; returns when its first instruction has run
start_guest()
{
	local log=$tmp/log.$1 n
	: > "$log"
	nice -n -20 "${guest[@]}" < /dev/null > "$log" 2>&1 &
	pids+=($!)
	for ((n = 0; n < 400; n++)); do
		grep -q 'start-up: ' "$log" && return
		kill -0 $! 2>&- || break
		sleep 0.05
	done
	cat "$log" >&2
	return 1
}

measure_start()
{
	local engine rep
	prepare_guest
	ip tuntap add dev start0 mode tap
	for ((rep = 0; rep < reps; rep++)); do
		for engine in $(engines); do
			start_with "$engine" "$engine"
			start_with "$engine" "$engine, no NIC" none
			start_with "$engine" "$engine, tap of others" --net=tap=start0
			start_with "$engine" "$engine, nat" --tunnet=10.9.9.1/24,nat
			further_devices "$engine"
		done
		[[ -c /dev/kvm ]] || continue
		processor_time "kvm" 1
		processor_time "kvm, no NIC" 1 none
		processor_time "kvm, 64 at once" 64
		bare_start "bare" 3 start1
		bare_start "bare, no NIC" 2
	done
	ip link del start0
}

# The kernel's part of a start with so many rooms, and one tap: bench/startbare.c.
bare_start() # CANDIDATE ROOMS [TAP]
{
	local TIMEFORMAT='%U %S' user system us
	us=$(nice -n -20 "$build/bench/startbare" 65534 "${@:2}")
	put start "first instruction" "$1" ms "$(awk "BEGIN { print $us / 1000 }")"
	read -r user system < <({ time "$build/bench/startbare" 65534 "${@:2}" > "$tmp/log.bare" 2>&1; } 2>&1)
	put start "processor time, start and end" "$1" ms "$(awk "BEGIN { print 1000 * ($user + $system) }")"
}

# further_devices ENGINE: the part of a further disk or NIC in the time until the first instruction: of three, in one round
further_devices()
{
	local -A took
	local kind i more
	for kind in none disk NIC; do
		guest "$1"
		more=()
		for ((i = 0; i < 3; i++)); do
			[[ $kind != NIC ]] || more+=("--tunnet=10.9.$((20 + i)).1/24")
			[[ $kind == disk ]] || continue
			truncate -s 64M "$tmp/shm/disk$((ndisks += 1))"
			chmod 666 "$tmp/shm/disk$ndisks"
			more+=("--block=$tmp/shm/disk$ndisks")
		done
		guest=("${guest[0]}" "${more[@]}" "${guest[@]:1}")
		start_guest further || return 1
		took[$kind]=$(raw=/dev/stdout phases "$tmp/log.further" start "$1" | awk -F'|' '$2 == "first instruction" { print $5 }')
		stop_guests
	done
	for kind in disk NIC; do
		put start-further "a further $kind" "$1" ms "$(awk -v with="${took[$kind]}" -v less="${took[none]}" 'BEGIN { print (with - less) / 3 }')"
	done
}

start_with() # ENGINE CANDIDATE [NIC]: one start
{
	guest "$1" ${3:+"$3"}
	start_guest "$1" && phases "$tmp/log.$1" start "$2"
	stop_guests
}

# Processor time of all processes of a guest that ends by itself, from exec until they have ended; with NUMBER guests
# at once. Their disks are made first, because the programs that do so take about as much time as a guest.
processor_time() # CANDIDATE NUMBER [NIC]
{
	local TIMEFORMAT='%U %S' user system i disk=$((ndisks + 1))
	for ((i = 0; i < $2; i++)); do
		guest kvm "${@:3}"
	done
	guest[-1]=$build/tests/guest/exit
	read -r user system < <({ time ends_at_once "$2" "$disk" 2> "$tmp/log.cpu" >&2; } 2>&1)
	[[ $(grep -c 'start-up: ' "$tmp/log.cpu") == "$2" ]] || { cat "$tmp/log.cpu" >&2; return 1; }
	put start "processor time, start and end" "$1" ms "$(awk "BEGIN { print 1000 * ($user + $system) / $2 }")"
	(($2 == 1)) || phases "$tmp/log.cpu" start "$1"
}

# Start NUMBER of "${guest[@]}", with the disks from DISK on, and wait until they have ended. Starts no other program.
ends_at_once() # NUMBER DISK
{
	local i words started=()
	for ((i = 0; i < $1; i++)); do
		words=("${guest[@]/#--block=*/--block=$tmp/shm/disk$(($2 + i))}")
		words=("${words[@]/--tunnet=10.9.9.1/--tunnet=10.9.$((10 + i)).1}")
		"${words[0]}" --exit-port "${words[@]:1}" exit=b00 < /dev/null &
		started+=($!)
	done
	wait "${started[@]}"
}

measure_boot()
{
	local engine rep from
	prepare_guest
	for engine in $(engines); do
		# Software KVM cannot run a distribution's kernel: skip it unless the CPU has VMX or SVM.
		[[ $engine == kvm ]] && ! grep -qwE 'vmx|svm' /proc/cpuinfo && continue
		for ((rep = 0; rep < (quick ? 1 : reps); rep++)); do
			guest qemu
			guest[1]=--engine=$engine
			from=${EPOCHREALTIME/./}
			"${guest[@]}" < /dev/null 2>&1 | grep -m1 -q 'guest: Linux' || true
			put boot "stock kernel to init" "$engine" "ms" $(((${EPOCHREALTIME/./} - from) / 1000))
		done
	done
}

measure_memory()
{
	local engine role pid sum
	prepare_guest
	for engine in $(engines); do
		guest "$engine"
		# start a shell, so that the guest keeps running
		[[ $engine == qemu ]] && guest+=(qs.shell=1)
		start_guest "$engine" || continue
		[[ $engine == qemu ]] && sleep 4
		sum=0
		while read -r role pid; do
			put memory "$role" "$engine" kib "$(pss "$pid")"
			[[ $role == qemu ]] || sum=$((sum + $(pss "$pid")))
		done < <(roles "${pids[0]}")
		put memory "all but QEMU" "$engine" kib "$sum"
		stop_guests
	done
}

# ---- as work grows ----

measure_disks()
{
	local n i rep load
	for ((i = 0; i < 16; i++)); do
		"$blkload" --fill="$tmp/shm/d$i" --size=16M
		daemon "$bin/lguest-sep-blkd" --socket-path="$tmp/d$i" --blk-file="$tmp/shm/d$i"
	done
	for ((i = 0; i < 16; i++)); do wait_socket "$tmp/d$i"; done
	for ((rep = 0; rep < reps; rep++)); do
		for n in 1 4 16; do
			load=()
			for ((i = 0; i < n; i++)); do
				nice -n -20 "$blkload" --socket="$tmp/d$i" --cpu=0 --depth=8 --size=16M --ms="$ms" > "$tmp/r$i" &
				load+=($!)
			done
			wait "${load[@]}"
			for ((i = 0; i < n; i++)); do cat "$tmp/r$i"; done | tr -d '{}" ' | awk -F'[:,]' -v n="$n" '
				{ ops += $2; cpu += $6 } END { print "disks|" n "|blkd|ops_per_s|" ops; print "disks|" n "|blkd|cpu_us_per_op|" cpu / n }' >> "$raw"
		done
	done
	rm -f "$tmp"/shm/d*
}

measure_queues()
{
	local n rep
	"$blkload" --fill="$tmp/shm/q" --size=64M
	daemon "$bin/lguest-sep-blkd" --socket-path="$tmp/blkd" --blk-file="$tmp/shm/q" --queues=8
	local candidates=(blkd) c
	if command -v qemu-storage-daemon > /dev/null; then
		qsd qsd-io_uring "$tmp/shm/q" off io_uring 8
		candidates+=(qsd-io_uring)
	fi
	wait_socket "${candidates[@]/#/$tmp/}"
	for ((rep = 0; rep < reps; rep++)); do
		for n in 1 2 4 8; do
			for c in "${candidates[@]}"; do
				"${rt[@]}" "$blkload" --socket="$tmp/$c" --cpu=0 --depth=$((32 / n)) --queues=$n --size=64M --ms="$ms" | record queues "$n" "$c"
			done
		done
	done
	rm -f "$tmp/shm/q"
}

# Starts N guests of 32 MiB at once; measures the times of each and the memory of all.
measure_guests()
{
	local n i engine=kvm most=64 sum role pid kib from
	prepare_guest
	[[ -c /dev/kvm ]] || { engine=qemu; most=16; }
	for n in 1 2 4 8 16 32 64; do
		((n <= most)) || break
		((quick && n != 1 && n != 8 && n != 32)) && continue
		from=${EPOCHREALTIME/./}
		for ((i = 0; i < n; i++)); do
			truncate -s 16M "$tmp/shm/g$i"
			chmod 666 "$tmp/shm/g$i"
			guest $engine
			guest=("${guest[@]/--block=*/--block=$tmp/shm/g$i}")
			guest=("${guest[@]/--tunnet=*/--tunnet=10.$((10 + i)).9.1/24}")
			nice -n -20 "${guest[@]}" < /dev/null > "$tmp/log.g$i" 2>&1 &
			pids+=($!)
		done
		for ((i = 0; i < n; i++)); do
			until grep -q 'start-up: ' "$tmp/log.g$i"; do
				kill -0 "${pids[i]}" 2>&- || { cat "$tmp/log.g$i" >&2; return 1; }
				sleep 0.02
			done
		done
		put guests "$n" $engine "ms a guest, all started" $(((${EPOCHREALTIME/./} - from) / 1000 / n))
		for ((i = 0; i < n; i++)); do
			phases "$tmp/log.g$i" guests-start "$n"
			((i < 8)) || continue
			sum=0
			while read -r role pid; do
				kib=$(pss "$pid")
				[[ $role == qemu ]] || sum=$((sum + kib))
			done < <(roles "${pids[i]}")
			put guests "$n" $engine kib "$sum"
		done
		stop_guests
	done
}
