#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# Shared directories (--share=) with a whole Linux guest and QEMU, and lguest-sep-fsd by itself. The kvm engine's part is in
# kvm_guest.bats.
load lib

setup_test()
{
	need_root
	need_kernel
	out=$BATS_TEST_TMPDIR/out
	share=$BATS_TEST_TMPDIR/share
	mkdir -p "$share/dir/mounted" "$share/private"
	head -c 3000001 /dev/urandom > "$share/large"
	echo "text" > "$share/dir/file"
	ln -s dir/file "$share/link"
	mkfifo "$share/fifo"
	for i in {1..300}; do : > "$share/dir/entry-$i"; done
	chmod -R a+rX "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
	chmod 700 "$share/private"
}

teardown_test()
{
	umount "$share/dir/mounted" 2> /dev/null || true
	local p
	[[ -z ${server:-} ]] || kill -9 "$server" 2> /dev/null || true
	for p in ${servers:-}; do
		kill "$p" 2> /dev/null && wait "$p" || true
	done
	umount -l "$share/dead" 2> /dev/null || true
}

# Runs the script on standard input in a guest that has mounted the share.
in_guest() # [OPTION…]
{
	timeout 300 "$L" run --engine=qemu "${user[@]}" --modules="$top/.cache/kernel/modules" "$@" 256 "$K" no_timer_check cryptomgr.notests \
		-- sh -c 'mkdir /mnt && mount -t virtiofs fs0 /mnt && cd /mnt && exec sh' > "$out" 2> "$out.err"
}

@test "a Linux guest reads a share, and writes nothing" {
	# The server of another mount below it has died: nobody asks it, so nobody waits for it.
	mkdir "$share/dead"
	"$B/../tests/host/stalled-fuse" "$share/dead" 1 3>&- & server=$!
	# A host without /dev/fuse has an empty directory there, which looks the same to the guest.
	wait_until eval 'mountpoint -q "$share/dead" || ! kill -0 "$server" 2> /dev/null'
	kill -USR1 "$server" 2> /dev/null || true
	mount -t tmpfs none "$share/dir/mounted"
	echo hidden > "$share/dir/mounted/hidden"
	status=0
	in_guest --share="$share,queues=3" <<-'END' || status=$?
		md5sum < large
		cat link
		ls dir | wc -l
		ls dir/mounted | wc -l
		ls -l . | grep -c dead
		ls dead | wc -l
		ls private 2>/dev/null || echo private
		test -p fifo && echo fifo
		touch new 2>/dev/null || echo read-only
		rm large 2>/dev/null || echo kept
		grep -c 'virtio.*requests' /proc/interrupts
		exit 3
	END
	cat "$out" "$out.err"
	[[ $status == 3 ]]
	[[ $(md5sum < "$share/large") == "$(sed -n 1p "$out")" ]]
	# Of three request queues, Linux before 6.11 sets each up, and uses the first.
	[[ $(sed 1d "$out" | tr '\n' ' ') == "text 302 0 1 0 private fifo read-only kept 3 " ]]
}

@test "run --out: results come out, within a limit, and belong to the directory's owner" {
	local results=$BATS_TEST_TMPDIR/results
	need_user_namespaces
	mkdir "$results"
	chown 1234:1235 "$results"
	echo old > "$results/over"
	chown 1234:1235 "$results/over"
	echo kept > "$results/roots"
	status=0
	timeout 300 "$L" run --engine=qemu "${user[@]}" --modules="$top/.cache/kernel/modules" --out="$results,max=4M" 256 "$K" no_timer_check cryptomgr.notests \
		-- sh -c 'cd /out && echo hi > f && echo new > n && mv n over && mkdir -p d/e && ln -s /etc/passwd d/link && ln f d/hard
			exec 3<> open 4< open && rm open && echo unlinked >&3 && cat <&4
			truncate -s 1M sparse && stat -c %s:%b sparse && rm sparse
			head -c 5000000 /dev/zero > full || echo full; rm full && echo room > room && cat room
			chmod 4755 f || mknod null c 1 3 || echo x > roots || ls roots; stat -c %a f; echo 3 > /proc/sys/vm/drop_caches; cat over' \
		> "$out" 2> "$out.err" < /dev/null || status=$?
	cat "$out" "$out.err"
	[[ $status == 0 ]]
	[[ $(tr '\n' ' ' < "$out") == "unlinked 1048576:0 full room roots 644 new " ]]
	[[ $(grep -c 'fs0: the guest has filled the share' "$out.err") == 1 ]]
	[[ $(cd "$results" && find . -mindepth 1 | sort | tr '\n' ' ') == "./d ./d/e ./d/hard ./d/link ./f ./over ./room ./roots " ]]
	[[ $(cat "$results"/{f,over,roots} | tr '\n' ' ') == "hi new kept " ]]
	[[ $(readlink "$results/d/link") == /etc/passwd && $(stat -c %u:%g:%a "$results/d/hard") == 1234:1235:644 ]]
	[[ $(find "$results" -user 1234 -group 1235 | wc -l) == 8 ]]
}

@test "every process of a guest with a share is as promised; with QEMU it ends when fsd does" {
	mkdir "$share/dir/writable"
	chown nobody "$share/dir/writable"
	in_guest --name=share --share="$share" --share="$share/dir/writable,rw" <<-'END' &
		ls -l . dir > /dev/null
		mkdir /w && mount -t virtiofs fs1 /w && echo text > /w/new
		exec 3< large
		echo ready
		sleep 1000
	END
	pid=$!
	wait_until grep -q ready "$out"
	run "$L" audit share
	echo "$output"
	[[ $status == 0 && $output == *"fs0: pid"* && $output == *"fs1: pid"* ]]
	[[ $(cat "$share/dir/writable/new") == text ]]
	[[ $output == *": as promised; 0 promises weaker, "* ]]
	kill -9 "$(role_pids fsd | head -n 1)"
	status=0
	wait "$pid" || status=$?
	cat "$out.err"
	[[ $status == 125 ]]
	grep -q 'fs[01]: its process ended; ending the guest: killed by signal 9' "$out.err"
}

@test "run --root: a command on the host's files, which stay as they are" {
	local name=/etc/lguest-sep-test-$$
	out=$BATS_TEST_TMPDIR/out
	status=0
	timeout 300 "$L" run --engine=qemu "${user[@]}" --modules="$top/.cache/kernel/modules" --root=/ --in="$share" 256 "$K" no_timer_check cryptomgr.notests \
		-- bash -c "uname -r; cmp /in/large <(cat /in/large) && cat /in/link; echo new > $name && cat $name; \
			stat -fc %T /; ls /tmp /run | wc -w; cat /etc/shadow 2> /dev/null || echo denied; exit 5" \
		> "$out" 2> "$out.err" < /dev/null || status=$?
	cat "$out" "$out.err"
	[[ $status == 5 && ! -e $name ]]
	[[ $(sed 1d "$out" | tr '\n' ' ') == "text new overlayfs 2 denied " ]]
	grep -q cloud "$out"
}

@test "directories that cannot be shared are one line" {
	build_for_all
	run "$L" --share="$BATS_TEST_TMPDIR/none" 64 "$K"
	[[ $status == 1 ]]
	one_line
	[[ $output == "lguest-sep: --share=$BATS_TEST_TMPDIR/none: cannot open it: No such file or directory" ]]
	run "$L" --share="$share/large" 64 "$K"
	[[ $status == 1 ]]
	one_line
	[[ $output == *"this is a file, not a directory" ]]
	run setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all "$L" --engine=qemu --share="$share,rw" 64 "$K"
	[[ $status == 1 ]]
	one_line
	[[ $output == "lguest-sep: --share=$share: you may not write there: Permission denied" ]]
	chmod 500 "$share/private"
	run "$L" --engine=qemu --share="$share/private,rw" 64 "$K"
	[[ $status == 1 ]]
	one_line
	[[ $output == *"its owner may not write there (chmod u+wx)" ]]
	ulimit -n 4200
	run setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all "$L" --engine=qemu --share="$share" 64 "$K"
	[[ $status == 1 ]]
	one_line
	[[ $output == *": the hard limit of open files is 4200; at least 4248 are needed (ulimit -Hn)" ]]
}

@test "a guest knows many more files than fsd may open" {
	local as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all) list
	need_user_namespaces
	[[ -n $("${as[@]}" cat "$top/.cache/kernel/modules/modules.order") ]] || skip "user 1234 cannot read $top/.cache"
	chmod 755 "$share/private"
	for i in {1..20}; do
		mkdir -p "$share/many/$((i % 4))/$i"
		for j in {1..25}; do echo "$i $j" > "$share/many/$((i % 4))/$i/$j"; done
	done
	list='find . -type f -exec md5sum {} + | sort -k 2 | md5sum; find . | sort | md5sum; find . -type f -links 1 | wc -l'
	status=0
	# Apart from files that are open, 62 files have descriptors then.
	(ulimit -n 4294 && timeout 300 "${as[@]}" "$L" run --engine=qemu --modules="$top/.cache/kernel/modules" \
		--share="$share/many" 256 "$K" no_timer_check cryptomgr.notests \
		-- sh -c "mkdir /mnt && mount -t virtiofs fs0 /mnt && cd /mnt && for i in 1 2; do $list; done" > "$out" 2> "$out.err") ||
		status=$?
	cat "$out" "$out.err"
	[[ $status == 0 ]]
	list=$(cd "$share/many" && eval "$list")
	[[ $(< "$out") == "$list"$'\n'"$list" ]]
	[[ $(tail -n 1 "$out") == 500 ]]
}

@test "a file system of another program, with QEMU" {
	"$B/lguest-sep-fsd" --socket-path="$BATS_TEST_TMPDIR/socket" --shared-dir="$share" 2> "$BATS_TEST_TMPDIR/said" 3>&- &
	server=$!
	wait_until test -S "$BATS_TEST_TMPDIR/socket"
	status=0
	in_guest --vhost-user-fs="$BATS_TEST_TMPDIR/socket" <<-'END' || status=$?
		md5sum < large
		touch new 2>/dev/null || echo read-only
		exit 4
	END
	cat "$out" "$out.err"
	[[ $status == 4 ]]
	[[ $(md5sum < "$share/large") == "$(sed -n 1p "$out")" ]]
	[[ $(sed 1d "$out") == read-only ]]
}

@test "fsd by itself serves QEMU" {
	socket=$BATS_TEST_TMPDIR/socket
	guest_script <<-'END'
		mount -t virtiofs -o ro alone /mnt || say failed
		say "sum $(md5sum < /mnt/large)"
		umount /mnt
	END
	"$B/lguest-sep-fsd" --socket-path="$socket" --shared-dir="$share" 2> "$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	wait_until test -S "$socket"
	timeout 200 qemu-system-x86_64 -machine q35,memory-backend=mem -accel tcg -m 256 -nodefaults -nographic \
		-object memory-backend-memfd,id=mem,size=256M,share=on -chardev socket,id=c0,path="$socket" \
		-device vhost-user-fs-pci,chardev=c0,tag=alone -serial stdio -no-reboot -kernel "$K" -initrd "$initrd" \
		-append "console=ttyS0 quiet no_timer_check cryptomgr.notests" < /dev/null > "$BATS_TEST_TMPDIR/out" 3>&-
	tr -d '\r' < "$BATS_TEST_TMPDIR/out" | grep "^T: sum $(md5sum < "$share/large")"
	kill "$pid"
	wait "$pid"
	cat "$BATS_TEST_TMPDIR/said"
	pid=
}

# alone NAME COMMAND…: starts a stand-alone fsd with the socket NAME.sock; its messages are in NAME.said
alone()
{
	"${@:2}" --socket-path="$BATS_TEST_TMPDIR/$1.sock" 2> "$BATS_TEST_TMPDIR/$1.said" 3>&- &
	servers="${servers:-} $!"
	wait_until test -S "$BATS_TEST_TMPDIR/$1.sock"
}

# plain_qemu TAG[,SETTING]…: runs $initrd in QEMU with a file system for each TAG, from the socket of that name; its output
# is $out.clean
plain_qemu()
{
	local tag args=()
	for tag; do
		args+=(-chardev "socket,id=${tag%%,*},path=$BATS_TEST_TMPDIR/${tag%%,*}.sock" \
			-device "vhost-user-fs-pci,chardev=${tag%%,*},tag=$tag")
	done
	timeout 300 qemu-system-x86_64 -machine q35,memory-backend=mem -accel tcg -m 256 -nodefaults -nographic \
		-object memory-backend-memfd,id=mem,size=256M,share=on "${args[@]}" -serial stdio -no-reboot -kernel "$K" \
		-initrd "$initrd" -append "console=ttyS0 quiet no_timer_check cryptomgr.notests" < /dev/null > "$out" 3>&-
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean" "$BATS_TEST_TMPDIR"/*.said
}

@test "fsd --rw by itself: QEMU's guest writes within a limit, for root and for an ordinary user" {
	local name as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	need_user_namespaces
	mkdir "$BATS_TEST_TMPDIR"/{roots,users}
	chown 1234:1235 "$BATS_TEST_TMPDIR"/{roots,users}
	chmod 1777 "$BATS_TEST_TMPDIR"
	for name in roots users; do
		echo old > "$BATS_TEST_TMPDIR/$name/over"
		chown 1234:1235 "$BATS_TEST_TMPDIR/$name/over"
		echo kept > "$BATS_TEST_TMPDIR/$name/of-root"
	done
	alone roots "$B/lguest-sep-fsd" --shared-dir="$BATS_TEST_TMPDIR/roots" --rw --max=2M --queues=15
	alone users "${as[@]}" "$B/lguest-sep-fsd" --shared-dir="$BATS_TEST_TMPDIR/users" --rw --max=2M
	guest_script <<-'END'
		for s in roots users; do
			mkdir -p /$s && mount -t virtiofs $s /$s && cd /$s || say failed
			echo hi > f && echo new > n && mv n over && mkdir -p d/e && ln f d/hard && ln -s f d/link && : > gone && rm gone
			echo x > of-root 2> /dev/null || say "$s $(cat of-root)"
			chmod 4755 f 2> /dev/null || mknod null c 1 3 2> /dev/null || say "$s refused"
			head -c 3000000 /dev/zero > full 2> /dev/null || say "$s full"
			rm -f full
			echo room > room && say "$s $(cat room over | tr '\n' ' ')"
			cd / && umount /$s
		done
		say "queues $(grep -c 'virtio.*requests' /proc/interrupts)"
	END
	plain_qemu roots,num-request-queues=15 users
	grep -qx 'T: queues 16' "$out.clean"
	for name in roots users; do
		[[ $(grep "^T: $name" "$out.clean" | tr '\n' ' ') == "T: $name kept T: $name refused T: $name full T: $name room new  " ]]
		(cd "$BATS_TEST_TMPDIR/$name" && [[ $(find . -mindepth 1 | sort | tr '\n' ' ') == "./d ./d/e ./d/hard ./d/link ./f ./of-root ./over ./room " ]])
		[[ $(cat "$BATS_TEST_TMPDIR/$name"/{f,over,of-root} | tr '\n' ' ') == "hi new kept " ]]
		[[ $(find "$BATS_TEST_TMPDIR/$name" -user 1234 -group 1235 | wc -l) == 8 ]]
		[[ $(grep -c 'the guest has filled the share' "$BATS_TEST_TMPDIR/$name.said") == 1 ]]
	done
}

@test "wrong options of a stand-alone fsd are one line each" {
	local path=$BATS_TEST_TMPDIR as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	wrong() # STATUS MESSAGE COMMAND…
	{
		run "${@:3}" --socket-path="$path/socket"
		echo "$output"
		[[ $status == "$1" && ${#lines[@]} == 1 && $output == "lguest-sep-fsd: "$2* && ! -e $path/socket ]]
	}
	wrong 2 "--max=SIZE is only for a share with --rw" "$B/lguest-sep-fsd" --shared-dir="$share" --max=1M
	wrong 2 "--max=1000: give a number from 65536" "$B/lguest-sep-fsd" --shared-dir="$share" --rw --max=1000
	wrong 2 "--queues=16: give a number from 1 to 15" "$B/lguest-sep-fsd" --shared-dir="$share" --queues=16
	wrong 1 "--shared-dir=$share/large: this is not a directory" "$B/lguest-sep-fsd" --shared-dir="$share/large" --rw
	wrong 1 "--shared-dir=$share: you may not write there: Permission denied" "${as[@]}" "$B/lguest-sep-fsd" --shared-dir="$share" --rw
	chmod 500 "$share/private"
	wrong 1 "--shared-dir=$share/private: its owner may not write there" "$B/lguest-sep-fsd" --shared-dir="$share/private" --rw
	mount -t tmpfs -o ro none "$share/dir/mounted"
	wrong 1 "--shared-dir=$share/dir/mounted: its file system is mounted read-only" "$B/lguest-sep-fsd" --shared-dir="$share/dir/mounted" --rw
	# An ordinary user's clone must not uncover what the mount hides.
	chown 1234:1235 "$share/dir"
	need_user_namespaces
	wrong 1 "--shared-dir=$share/dir: cannot make a writable view" "${as[@]}" "$B/lguest-sep-fsd" --shared-dir="$share/dir" --rw
}
