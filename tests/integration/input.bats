#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input: one line that names it, the right exit status, nothing left behind.
load lib

setup_test()
{
	need_root
	cd "$BATS_TEST_TMPDIR"
	[[ -e $K ]] || K=/bin/true
	new_image disk 1
}

teardown_test()
{
	[[ -z ${loop:-} ]] || losetup -d "$loop"
}

# refused STATUS TEXT ARGUMENT…
refused()
{
	local want=$1 text=$2
	shift 2
	run timeout 20 "$L" "$@" < /dev/null
	echo "$* -> $status: $output"
	[[ $status == "$want" ]]
	# The emulator's own warning may come before; the reason is one line.
	mapfile -t lines < <(grep -v 'not a security boundary' <<< "$output")
	[[ ${#lines[@]} == 1 ]]
	[[ ${lines[0]} == *"$text"* ]]
	[[ ${lines[0]} == lguest-sep:* ]]
}

@test "usage: unknown user, option, engine; no memory, no kernel" {
	refused 2 nosuchuser --drop-to nosuchuser 64 "$K"
	refused 2 --nonsense --nonsense 64 "$K"
	refused 2 engine --engine=vmware 64 "$K"
	refused 2 0 --drop-to nobody 0 "$K"
	refused 2 many --drop-to nobody many "$K"
	refused 2 99999999999999999999 --drop-to nobody 99999999999999999999 "$K"
	refused 2 "--drop-to=nobody:" --drop-to nobody: 64 "$K"
	refused 2 "a value is missing" --block
	refused 2 --smp=0 --smp=0 64 "$K"
	refused 2 "" --drop-to nobody 64
	refused 2 "" --drop-to nobody
	refused 2 "" --timeout=x 64 "$K"
}

@test "usage: bad addresses" {
	refused 2 10.0.0.999 --tunnet=10.0.0.999 64 "$K"
	refused 2 10.0.0.1/33 --tunnet=10.0.0.1/33 64 "$K"
	refused 2 zz --tunnet=10.0.0.1:02:00:00:00:00:zz 64 "$K"
	refused 2 "(nothing)" --tunnet=10.0.0.1: 64 "$K"
	refused 2 "mtu=1:" --net=tap=t0,mtu=1 64 "$K"
	refused 2 01:00:00:00:00:01 --tunnet=10.0.0.1:01:00:00:00:00:01 64 "$K"
}

@test "host: files that are missing, or are not what they should be" {
	refused 1 nokernel 64 nokernel
	refused 1 nodisk --block=nodisk 64 "$K"
	refused 1 noinitrd --initrd=noinitrd 64 "$K"
	refused 1 /tmp --block=/tmp 64 "$K"
	refused 1 /tmp 64 /tmp
	refused 1 /tmp --initrd=/tmp 64 "$K"
	: > empty
	refused 1 empty 64 empty
	refused 1 --block=empty --block=empty 64 "$K"
	refused 1 --initrd=empty --initrd=empty 64 "$K"
	refused 1 "a character device" --block=/dev/null 64 "$K"
	refused 1 "a,b" --block=a,,b 64 "$K"
	refused 1 "no tap" --net=fd=3 64 "$K"
	refused 1 "--net=bridge=nobridge" --net=bridge=nobridge 64 "$K"
}

@test "host: the same disk twice, also under another name" {
	ln disk hard
	ln -s disk soft
	refused 1 disk --block=disk --block=disk 64 "$K"
	refused 1 hard --block=disk --block=hard 64 "$K"
	refused 1 soft --block=disk --block=soft 64 "$K"
	loop=$(losetup -f --show disk) || skip "no loop devices"
	refused 1 "$loop: this disk is there already, as --block=disk" --block=disk --block="$loop" 64 "$K"
	refused 1 "disk: this disk is there already, as --block=$loop" --block="$loop" --block=disk 64 "$K"
	refused 1 "$loop: this disk is there already" --block="$loop" --block="$loop" 64 "$K"
}

@test "host: more memory than there is; a bridge that is not there; an address in use" {
	refused 1 "" 16000000 "$K"
	refused 1 nobridge --tunnet=bridge:nobridge 64 "$K"
	refused 1 127.0.0.1 --tunnet=127.0.0.1 64 "$K"
}

@test "a kernel that is none: the line says what it is" {
	need_kernel
	echo "just some words" > words
	printf '\x89PNG\r\n\x1a\n....' > picture
	echo hello | gzip > packed
	head -c 100000 /dev/urandom > noise
	refused 1 "a text file" 64 words
	refused 1 "PNG" 64 picture
	refused 1 "a text file in a gzip file" 64 packed
	refused 1 "noise" 64 noise
	refused 1 "ELF" 64 /bin/busybox
	head -c 5000 "$K" > short
	gzip < "$K" | head -c 5000 > short.gz
	refused 1 "short.gz" 64 short.gz
	refused 1 "cut off" --engine=qemu 128 short
	refused 1 "give it more" --engine=qemu 48 "$K"
	head -c 4096 /dev/zero > arm64
	printf 'ARM\x64' | dd of=arm64 bs=1 seek=56 conv=notrunc status=none
	refused 1 "another machine (arm64)" 64 arm64
	# Beside a disk, whose process ends with the connection, before it has begun.
	for engine in qemu kvm; do
		[[ $engine == qemu || -e /dev/kvm ]] || continue
		refused 1 "a text file" --engine=$engine --block=disk 64 words
	done
}

@test "a host that does not let root do what it needs: one line that says so" {
	need_kernel
	need_user_namespaces
	run unshare --user --map-root-user "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--drop-to=nobody: no such user is mapped"* ]]
	run unshare --user --map-root-user "$L" doctor
	[[ $status == 1 && $output == *"no such user is mapped"* ]]
	run setpriv --bounding-set=-setuid --inh-caps=-setuid "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--drop-to=nobody: "*CAP_SETUID* ]]
	run setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$L" --engine=qemu --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *CAP_SYS_ADMIN* ]]
	run setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource \
		bash -c 'ulimit -n 100; exec "$@"' sh "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"ulimit -Hn"* ]]
	run bash -c 'ulimit -f 100; exec "$@"' sh "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"ulimit -f"* ]]
}

@test "help and version" {
	run "$L" --help
	[[ $status == 0 && $output == *"--tunnet"* && $output == *"--block"* ]]
	local LC_ALL=C.UTF-8
	for line in "${lines[@]}"; do
		((${#line} <= 80)) || { echo "longer than 80 columns: $line"; return 1; }
	done
	run "$L" --version
	[[ $status == 0 && ${lines[0]} == "lguest-sep $(cat "$top/VERSION")" ]]
	# The budget: one line a policy, as policy/BUDGET has it (on x86-64).
	while read -r name calls rules bound _; do
		[[ $name != handover ]] || continue
		grep -qE "^ +$name +$calls calls, +$rules rules, +$bound of them" <<< "$output" ||
			{ echo "not said: $name $calls $rules $bound"; return 1; }
	done < <(grep -v '^#' "$top/policy/BUDGET")
	for option in --help --version; do
		run bash -c '"$@" > /dev/full' sh "$L" $option
		[[ $status == 1 && $output == *"$option: cannot write"* ]]
	done
}

@test "what make install lays out works wherever it is" {
	need_kernel
	make -s -C "$top" install DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/opt/sep > /dev/null || skip "nothing built"
	mv root/opt/sep moved
	echo "just some words" > words
	L=$BATS_TEST_TMPDIR/moved/bin/lguest-sep
	refused 1 "a text file" --block=disk 64 words
	rm moved/libexec/lguest-sep/lguest-sep-blkd
	refused 1 "lguest-sep-blkd is neither in" --block=disk 64 words
}

@test "an ordinary user boots a guest with a disk; what needs a privilege is named" {
	need_kernel
	need_user_namespaces
	# Not nobody: its number is also what everybody has in a new user namespace.
	as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	"${as[@]}" test -r "$K" -a -x "$L" || skip "$K cannot be read by everybody"
	chown 1234 disk
	guest_script <<< 'say "disk $(cat /sys/block/vda/size)"'
	chmod 777 "$BATS_TEST_TMPDIR"
	user=()
	out=$BATS_TEST_TMPDIR/out
	"${as[@]}" "$L" --block=disk --initrd="$initrd" "$mem" "$K" console=hvc0 quiet \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	finish
	is_status 0
	said "disk 2048"
	run "${as[@]}" "$L" --tunnet=10.99.4.1 "$mem" "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *permission* || $output == *CAP_NET_ADMIN* ]]
}
