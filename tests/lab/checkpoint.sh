# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh) for tests/long/checkpoint-lab: guests of stock kernels that are reset while their disk
# is busy, one for each line "NAME KERNEL RESETS OPTION..." of the file cases. The vCPU process is vcpu_hash.
# Those whose name begins with shadow run on KVM without nested paging, and copy files all the time; they come last.
mkdir /hash
cp /build/bin/* /hash/
cp vcpu_hash /hash/lguest-sep-vcpu
while read -r name kernel resets options; do
	dd if=/dev/zero of=/tmp/disk bs=1M count=16 2>/dev/null
	chmod 644 /tmp/disk
	md5sum < /tmp/disk > /tmp/was
	words=
	case $name in shadow*)
		rmmod kvm_amd
		insmod /modules/kvm-amd.ko npt=0
		words=paging
		;;
	esac
	echo "== begin $name"
	# shellcheck disable=SC2086
	/hash/lguest-sep --engine=kvm --drop-to nobody --checkpoint --resets="$resets" --stats --timeout=2400 $options \
		--block=/tmp/disk,snapshot --tunnet=10.99.0.1/24 --initrd="$kernel.initrd" 192 "$kernel.vmlinuz" console=hvc0 quiet mitigations=off \
		panic=-1 $words < /dev/null 2>&1
	echo "== end $name $?"
	md5sum < /tmp/disk | cmp - /tmp/was && echo "== image $name unchanged"
done < cases
dmesg | grep -E 'WARNING: CPU|BUG:|Oops|general protection' | sed 's/^/== host: /'
