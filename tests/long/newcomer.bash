# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# tests/long/package runs this as root on a fresh system where the package is installed: the commands of README.md as
# they are written there (a kernel's version and "…" are filled in), and wrong ones. Usage: newcomer.bash README [DIRECTORY],
# with DIRECTORY holding the files of tools/quickstart kernel (vmlinuz, initrd, disk.img), and kernel: one without user
# space that reports success (build/tests/guest/exit).
set -uo pipefail
# shellcheck source=tests/long/lib.bash
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
readme=$(tr -s ' \n' ' ' < "$1")
files=${2:-}
real=$(find /boot -name 'vmlinuz-*' | sort -V | tail -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work" || exit
LIMIT=1200 # for emulated guests on a busy machine

# written COMMAND: succeeds if README.md has this command
written()
{
	[[ $readme == *"$1"* ]] || { echo "README.md does not have: $1"; return 1; }
}

# run_it COMMAND: runs it; output in out, messages in err, the exit status in $status
run_it()
{
	status=0
	timeout "$LIMIT" bash -c "$1" > out 2> err < "${2:-/dev/null}" || status=$?
}

# gives STATUS OUTPUT COMMAND [AS-WRITTEN]: a command of README.md ends so
gives()
{
	written "${4:-$3}" || return
	run_it "$3"
	# shellcheck disable=SC2053 # OUTPUT is a pattern
	[[ $status == "$1" && $(< out) == $2 ]] || { echo "status $status"; tail -n 20 out err; return 1; }
}

prompted_or_ended() { [[ -e status ]] || grep -qa '(initramfs)' out; }

# prompt COMMAND [AS-WRITTEN]: boots Debian's initrd without a root file system to its prompt, looks around, powers off
prompt()
{
	written "${2:-$1}" || return
	rm -f in out status
	mkfifo in
	(run_it "$1" in; echo "$status" > status) &
	exec 5> in
	wait_until prompted_or_ended
	if [[ -e status ]] || ! grep -qa '(initramfs)' out; then
		tail -n 30 out err
		exec 5>&-
		wait
		return 1
	fi
	# shellcheck disable=SC2016 # $ is for the guest
	echo 'echo a-$((40 + 2)); cat /proc/partitions /proc/net/dev; echo o > /proc/sysrq-trigger' >&5
	wait
	exec 5>&-
	if [[ $(< status) != 0 ]] || ! grep -qa 'a-42' out; then
		cat status
		tail -n 30 out err
		return 1
	fi
}
# refused STATUS WORDS COMMAND: one line that has these words; nothing else is printed
refused()
{
	run_it "$3"
	[[ $status == "$1" && ! -s out && $(wc -l < err) == 1 && $(< err) == *$2* ]] || {
		echo "$3: status $status"
		tail -n 20 out err
		return 1
	}
}

# A partition with a program and a text: dd puts the file system into the image.
make_disk()
{
	mkdir -p tree/{bin,etc,proc,sys,dev,tmp,run} && cp /bin/busybox tree/bin/cat && cp /etc/os-release tree/etc/ &&
		truncate -s 60M fs && mkfs.ext4 -q -F -d tree fs && truncate -s 64M debian.img &&
		echo 'start=2048, type=83' | sfdisk -q debian.img && dd if=fs of=debian.img bs=1M seek=1 conv=notrunc status=none
}

# A host with a network card, behind which nobody is: passt wants a default route.
host_network()
{
	ip link set lo up && ip link add near type veth peer name far && ip addr add 192.0.2.2/24 dev near &&
		ip link set near up && ip link set far up && ip route add default via 192.0.2.1
}

# answers_or_ended PID COMMAND: this ssh reaches a shell in the guest, or the guest has ended
answers_or_ended()
{
	# shellcheck disable=SC2016 # $ is for the guest
	! kill -0 "$1" || { bash -c "$2" <<< 'echo a-$((40 + 2))' > said 2> err && grep -qx a-42 said; }
}

# A guest with the host's programs and an ssh server, which the user's key opens, and a port that is forwarded to it
guest_by_ssh() # OPTION COMMAND
{
	local guest
	written "$1" && written "$2" || return
	rm -rf in stdin said
	mkdir -p in ~/.ssh
	ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519
	echo 'StrictHostKeyChecking accept-new' > ~/.ssh/config
	cp ~/.ssh/id_ed25519.pub in/keys
	cat > in/lease <<-'END'
		#!/bin/sh
		[ "$1" != bound ] || ip addr add "$ip/$mask" dev "$interface"
	END
	cat > in/start <<-'END'
		ip link set lo up
		ip link set eth0 up
		busybox udhcpc -q -n -i eth0 -s /in/lease >&2
		mkdir -p /run/sshd
		ssh-keygen -q -t ed25519 -N '' -f /tmp/host
		/usr/sbin/sshd -h /tmp/host -o UsePAM=no -o StrictModes=no -o AuthorizedKeysFile=/in/keys
		cat
	END
	chmod 755 in/lease
	mkfifo stdin
	timeout "$LIMIT" lguest-sep run --root=/ --in=in "$1" 512 vmlinuz -- sh /in/start < stdin > out 2> guest-err &
	guest=$!
	exec 5> stdin
	wait_until answers_or_ended "$guest" "$2"
	exec 5>&-
	wait "$guest" && grep -qx a-42 said || { tail -n 20 said err out guest-err; return 1; }
}

cp -L /vmlinuz vmlinuz
chmod 644 vmlinuz

promise "README: doctor accepts this host" gives 0 "*" "lguest-sep doctor"
if [[ -n $files ]]; then
	mkdir first
	cp "$files"/{vmlinuz,initrd,disk.img} first/
	cd first || exit
	promise "README's first line: the guest finds its disk and its NIC, and powers off" gives 0 "*disk:  /dev/vda*net:   eth0 *" \
		"lguest-sep --drop-to nobody --block=disk.img --tunnet=10.77.0.1/24 --initrd=initrd 256 vmlinuz console=hvc0"
	cd .. || exit
	cp "$files/kernel" kernel
	promise "README: a kernel without user space" gives 0 "*" "lguest-sep --exit-port=isa-debug-exit --timeout=10 64 kernel"
fi
promise "README: boots this Debian's kernel to its prompt" prompt "lguest-sep --initrd=/initrd.img 512 /vmlinuz panic="
promise "README: a command in a guest" gives 0 "${real#/boot/vmlinuz-}" "lguest-sep run 256 $real -- uname -r" \
	"lguest-sep run 256 /boot/vmlinuz-VERSION -- COMMAND"
hello="echo hello | lguest-sep run 256 /boot/vmlinuz-6.1.0-13-cloud-amd64 -- sh -c 'cat; exit 7'"
promise "README: a command with input and a status" gives 7 hello "${hello/\/boot\/vmlinuz-*-amd64/$real}" "$hello"
# shellcheck disable=SC2016
promise "README: the host's programs" gives 0 "${real#/boot/vmlinuz-}" \
	"lguest-sep run --root=/ 512 vmlinuz -- python3 -c 'import os; print(os.uname().release)'"
mkdir results
promise "README: results" gives 0 "" "lguest-sep run --out=results 256 vmlinuz -- sh -c 'dmesg > /out/dmesg'"
promise "the results are on the host" grep -q 'Linux version' results/dmesg
if promise "a disk with a partition" make_disk; then
	promise "README: files of a disk" gives 0 "$(< /etc/os-release)" \
		"lguest-sep run --root=debian.img,part=1 512 vmlinuz -- cat /etc/os-release"
fi
background="lguest-sep --detach --name=web … && lguest-sep attach web"
promise "README: a guest in the background, and its console" prompt "${background/…/--initrd=/initrd.img 512 /vmlinuz panic=}" "$background"
promise "a host with a default route" host_network
promise "README: ssh to a guest of any user's network" guest_by_ssh --net=user,forward=tcp:2222:22 "ssh -p 2222 localhost"

promise "no such kernel" refused 1 /boot/none "lguest-sep 512 /boot/none"
promise "no such initrd" refused 1 /boot/none "lguest-sep --initrd=/boot/none 512 /vmlinuz"
promise "memory and kernel in the wrong order" refused 2 /vmlinuz "lguest-sep --initrd=/initrd.img /vmlinuz 512"
promise "no kernel" refused 2 KERNEL "lguest-sep --initrd=/initrd.img 512"
promise "a mistyped option" refused 2 --intrd "lguest-sep --intrd=/initrd.img 512 /vmlinuz"
promise "the initrd in the kernel's place" refused 1 /initrd.img "lguest-sep 512 /initrd.img"
promise "run without a command" refused 125 COMMAND "lguest-sep run 256 /vmlinuz"
promise "attach without a guest" refused 1 web "lguest-sep attach web"
promise "too little memory" refused 1 "MiB" "lguest-sep --initrd=/initrd.img 16 /vmlinuz"
sum
