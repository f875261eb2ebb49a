# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "machines" of bench/run: how long a kernel without user space takes to start on each
# machine of the qemu engine, beside QEMU started by hand with the same kernel.

# first_byte MACHINE CANDIDATE COMMAND...: the time from the exec of COMMAND to the first byte of the kernel
first_byte()
{
	local machine=$1 candidate=$2 fd from pid
	shift 2
	from=${EPOCHREALTIME/./}
	exec {fd}< <(exec nice -n -20 "$@" < /dev/null 2> "$tmp/machine.log")
	pid=$!
	IFS= read -r -t 60 -n 1 -u "$fd" _ || { echo "bench: $candidate: no output on $machine" >&2; cat "$tmp/machine.log" >&2; return 1; }
	put machines "$candidate" "$machine" first_byte_ms "$(awk -v us=$((${EPOCHREALTIME/./} - from)) 'BEGIN { print us / 1000 }')"
	cat <&"$fd" > "$tmp/machine.rest"
	exec {fd}<&-
	wait "$pid" || true # isa-debug-exit never ends QEMU with 0
}

measure_machines()
{
	local rep machine kernel words board
	for ((rep = 0; rep < (quick ? 3 : 4 * reps); rep++)); do
		for machine in x86_64 aarch64 arm riscv64; do
			kernel=$build/tests/guest/machines/$machine words=() board=(-M virt -cpu max)
			if [[ $machine == x86_64 ]]; then
				kernel=$tmp/exit words=(--exit-port=isa-debug-exit) board=(-M q35 -cpu max -device isa-debug-exit)
				board[-1]+=,iobase=0xf4,iosize=4
				LC_ALL=C sed 's/preset=b00 /exit=b00   /' "$build/tests/guest/exit" > "$kernel"
			elif [[ $machine == riscv64 ]]; then
				board=(-M virt -bios none)
			elif [[ $machine == arm ]]; then
				board[1]+=,highmem=off
			fi
			[[ -e $kernel && -x /usr/bin/qemu-system-$machine ]] || continue
			first_byte "$machine" lguest-sep "$bin/lguest-sep" --verbose --engine=qemu --machine="$machine" --drop-to nobody \
				--timeout=60 --no-reboot "${words[@]}" 64 "$kernel" do=o
			phases "$tmp/machine.log" machines "$machine"
			first_byte "$machine" "bare QEMU" timeout 60 "qemu-system-$machine" "${board[@]}" -m 64 -nodefaults -display none \
				-no-reboot -serial stdio -kernel "$kernel" -append do=o
		done
	done
}
