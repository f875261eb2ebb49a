# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh), whose kernel has AppArmor: loads the profiles and shows that guests run with every
# process confined, and what each profile denies. Prints "ok TEXT" or "not ok TEXT" for each promise.
trap "" PIPE # A guest that does not start closes its input.
# shellcheck disable=SC3045 # busybox has it
ulimit -n 8192
mkdir -p /sys/kernel/security /sys/fs/cgroup /tmp/modules /tmp/w /tmp/share
mount -t securityfs none /sys/kernel/security
mount -t cgroup2 none /sys/fs/cgroup
tar -xf modules.tar -C /tmp/modules
cp cloud.vmlinuz /tmp/w/
chmod 777 /tmp/w
chmod 644 /tmp/w/cloud.vmlinuz
chmod 666 /dev/kvm /dev/net/tun
echo shared > /tmp/share/file
sed -i 's,^nobody:.*,nobody:x:65534:65534::/:/bin/sh,' /etc/passwd
# passt needs an interface with a default route.
ip link add br9 type bridge
ip addr add 10.1.0.2/24 dev br9
ip link set br9 up
ip route add default via 10.1.0.1

ok() { # TEXT COMMAND...
	text=$1
	shift
	if "$@" > /tmp/why 2>&1; then
		echo "ok $text"
	else
		echo "not ok $text"
		tail -n 15 /tmp/why /tmp/w/err /tmp/w/out | tr -d '\r' | sed 's/^/# /'
		denials | tail -n 10 | sed 's/^/# /'
	fi
}
denials() { dmesg | grep 'apparmor="DENIED"'; }
no_denials() { ! denials; }
is() { [ "$1" = "$2" ] || { echo "is:     $1"; echo "wanted: $2"; false; }; }

# labels: "PROGRAM PROFILE (MODE)" of all processes of guests, sorted, each once
labels() {
	for p in /proc/[0-9]*; do
		exe=$(readlink "$p/exe") || continue
		case $exe in
		*lguest-sep*) ;;
		*qemu-system* | */passt*) ;;
		*) continue ;;
		esac
		exe=${exe##*/}
		echo "${exe%% *} $(cat "$p/attr/apparmor/current" 2> /dev/null)"
	done | sort -u
}

# guest WHO "OPTIONS": run a command in a guest as WHO, and with it the commands in $also; output in /tmp/w/out, messages
# in /tmp/w/err. Sets $status, and $seen to the labels of the processes.
also=:
guest() {
	rm -f /tmp/w/in
	mkfifo /tmp/w/in
	chmod 666 /tmp/w/in
	cat > /tmp/w/start << END
exec lguest-sep run --name=web --result=/tmp/w/result-$1 --modules=/tmp/modules $2 256 /tmp/w/cloud.vmlinuz mitigations=off -- sh -c 'cat; $also; echo error >&2; exit 7'
END
	if [ "$1" = root ]; then
		sh /tmp/w/start < /tmp/w/in > /tmp/w/out 2> /tmp/w/err &
	else
		su "$1" -c 'exec sh /tmp/w/start' < /tmp/w/in > /tmp/w/out 2> /tmp/w/err &
	fi
	pid=$!
	exec 4> /tmp/w/in
	for _ in $(seq 3000); do
		lguest-sep status web 2> /dev/null | grep -q running && break
		lguest-sep status 65534/web 2> /dev/null | grep -q running && break
		kill -0 $pid 2> /dev/null || break
		sleep 0.1
	done
	seen=$(labels)
	lguest-sep audit > /tmp/w/audit 2>&1
	echo hello >&4
	exec 4>&-
	wait $pid
	status=$?
}

ok "this kernel has AppArmor" grep -q Y /sys/module/apparmor/parameters/enabled
guest root "--engine=kvm --timeout=300 --drop-to=nobody"
ok "without profiles: a guest runs" is "$status $(cat /tmp/w/out)" "7 hello"
ok "without profiles: no process has one" is "$(echo "$seen" | grep -c 'lguest-sep-supervisor')" 0
ok "the profiles can be loaded" apparmor_parser -K -r /lab/profiles

dd if=/dev/zero of=/tmp/w/disk bs=1M count=8 2> /dev/null
chmod 666 /tmp/w/disk

both() { printf 'lguest-sep-%s lguest-sep-%s (enforce),lguest-sep-init lguest-sep-%s (enforce)\n' "$1" "$1" "$1"; }
# confined PART...: each process of the guest had the profile of its part, and there were no other processes
confined() {
	wanted=$(for p; do
		case $p in
		supervisor | cleaner) echo "lguest-sep lguest-sep-$p (enforce)" ;;
		qemu) echo "qemu-system-x86_64 lguest-sep-qemu (enforce),lguest-sep-init lguest-sep-qemu (enforce)" ;;
		passt) echo "passt lguest-sep-passt (enforce),lguest-sep-init lguest-sep-passt (enforce)" ;;
		*) both "$p" ;;
		esac
	done | tr ',' '\n' | sort -u)
	is "$(echo "$seen" | sed 's/passt.avx2/passt/')" "$wanted"
}

audited() { # the audit has compared the profile of each process
	is "$(grep 'AppArmor profile' /tmp/w/audit | sed 's/^ *\([^ ]*\) .*/\1/' | sort | uniq -c | sed 's/ *//')" "$(grep -c ': pid ' /tmp/w/audit) ok"
}

guest root "--engine=kvm --timeout=300 --drop-to=nobody --block=/tmp/w/disk,snapshot --tunnet=10.9.0.1/24,pcap=/tmp/w/pcap --share=/tmp/share --memory-max=300M --console=/tmp/w/console"
ok "root, kvm: a guest with all kinds of devices runs" is "$status $(cat /tmp/w/out)" "7 hello"
ok "root, kvm: the result file was replaced" grep -q '"status":7' /tmp/w/result-root
ok "root, kvm: every process is confined" confined supervisor cleaner vcpu blkd netd fsd controld
ok "root, kvm: the audit compares all profiles" audited
ok "root, kvm: nothing was denied" no_denials
guest nobody "--engine=kvm --timeout=300 --block=/tmp/w/disk --net=user --share=/tmp/share,inodes=100"
ok "a user, kvm: a guest with a disk, a share and --net=user runs" is "$status $(cat /tmp/w/out)" "7 hello"
ok "a user, kvm: every process is confined" confined supervisor vcpu blkd netd fsd passt controld
ok "a user, kvm: nothing was denied" no_denials
mkdir /tmp/writable
echo old > /tmp/writable/old
chown -R 65534 /tmp/writable
also="mkdir -p /mnt && mount -t virtiofs fs0 /mnt && cd /mnt && mkdir d && echo new > d/new && mv d/new moved && ln -s x l && ln moved twin"
also="$also && : > moved && echo more >> moved && rm old && rmdir d && echo changed"
also="$also; dd if=/dev/zero of=big bs=64k count=160 2> /dev/null || echo too much"
guest nobody "--engine=kvm --timeout=300 --share=/tmp/writable,rw,max=4M"
also=:
ok "a user, kvm: a guest can change a share with rw" is "$status $(tr '\n' ' ' < /tmp/w/out)$(cd /tmp/writable && echo *) $(cat /tmp/writable/moved)" \
	"7 hello changed too much big l moved twin more"
ok "a user, kvm: no more than max= was added" is "$(($(stat -c %s /tmp/writable/big) <= 4194304))" 1
ok "a user, kvm: nothing of that was denied" no_denials
guest root "--engine=qemu --timeout=900 --drop-to=nobody --block=/tmp/w/disk --tunnet=10.9.0.1/24 --share=/tmp/share"
ok "root, qemu: a guest with a disk, a NIC and a share runs" is "$status $(cat /tmp/w/out)" "7 hello"
ok "root, qemu: every process is confined" confined supervisor qemu blkd netd fsd controld
ok "root, qemu: nothing was denied" no_denials

# attempts PROFILE: what a program with that profile, root and no other confinement achieves
attempts() {
	rm -rf /tmp/probe-*
	umount /mnt 2> /dev/null
	echo > /tmp/probe-old
	echo > /tmp/probe-from
	/lab/probe "$1" /tmp/lguest-sep-init "$other" 2>&1
}
mkdir -p /mnt
cp /lab/probe /tmp/lguest-sep-init
sleep 10000 &
other=$!
ok "without a profile the probe achieves all" is "$(attempts lguest-sep)" \
	" read create write truncate rename mkdir exec unix inet raw netlink packet kill ptrace mount chroot setuid"
attempts lguest-sep-blkd > /dev/null
for _ in $(seq 100); do
	denials > /tmp/denials
	grep -q 'operation="exec".* profile="lguest-sep-blkd"' /tmp/denials && break
	sleep 0.1
done
ok "the kernel logs what it denies" grep -q 'operation="exec".* profile="lguest-sep-blkd"' /tmp/denials
for p in vcpu blkd netd controld; do
	ok "$p: no file, program, network, signal, mount or user" is "$(attempts lguest-sep-$p)" " unix"
done
ok "qemu: the same, but it may read files" is "$(attempts lguest-sep-qemu)" " read unix"
ok "fsd: the same, but it may read and change files" is "$(attempts lguest-sep-fsd)" " read create write truncate rename mkdir unix"
ok "passt: it may read files and use the network" is "$(attempts lguest-sep-passt)" " read unix inet netlink mount setuid"
for p in supervisor cleaner; do
	ok "$p: it may write files" is "$(attempts lguest-sep-$p)" " create write truncate mkdir unix"
done

# The package's own script loads its profiles, for the program in /usr/bin.
if [ -e /package/postinst ]; then
	kill $other
	echo '_lguest-sep:x:990:990::/:/bin/false' >> /etc/passwd
	echo '_lguest-sep:x:990:' >> /etc/group
	ours=/sys/kernel/security/apparmor/profiles
	ok "the profiles can be unloaded" apparmor_parser -R /lab/profiles
	ok "then there are none" is "$(grep -c lguest-sep $ours)" 0
	ok "the package's postinst succeeds" sh -e /package/postinst configure
	ok "it has loaded all profiles" is "$(grep -c '^lguest-sep' $ours)" "$(grep -c '^profile ' /etc/apparmor.d/usr.bin.lguest-sep)"
	PATH=/usr/bin:/usr/sbin:/bin
	guest root "--engine=kvm --timeout=300 --block=/tmp/w/disk"
	ok "the package's program: a guest runs" is "$status $(cat /tmp/w/out)" "7 hello"
	ok "the package's program: every process is confined" confined supervisor vcpu blkd controld
	ok "the package's program: the audit compares all profiles" audited
fi
echo "== all"
