# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Read by lguest-host.sh: the classic launcher (/classic) and lguest-sep in turn, same
# kernel, same guest, same disk. One line per number, in hundredths of a second:
# time from start to the guest's init, and what dd takes inside the guest.
# Starts no process and does not read the output of lguest-sep while the guest boots,
# because there may be only one CPU.
now() {
	read -r up _ < /proc/uptime
	echo "${up%.*}${up#*.}"
}
classic() { /classic --block=/tmp/disk --initrd=/guest.gz 96 /kernel quiet rdinit=/init "case=$1"; }
ours() {
	lguest-sep --engine=lguest --drop-to nobody --block=/tmp/disk --initrd=/guest.gz 96 /kernel quiet rdinit=/init "case=$1"
}
one() { # WHO CASE
	start=$(now)
	# the classic launcher ends with its input
	if [ "$1" = classic ]; then
		tail -f /dev/null | classic "$2" 2> /tmp/err
	else
		ours "$2" < /dev/null 2> /tmp/err
	fi | while read -r t word rest; do
		case $t$word in
		T:init*) echo "compare $1 start $(($(now) - start))" ;;
		T:dd) echo "compare $1 $rest" ;;
		esac
		# with or without the time before it
		case $t$word$rest in
		*reboot:*Power*down*) killall tail 2> /dev/null ;;
		esac
	done
}
zeroes /tmp/disk 128
# shellcheck disable=SC2034
for round in $(seq "${ROUNDS:-3}"); do
	for who in ${WHO-classic ours}; do
		one "$who" "${CASE:-dd}"
	done
done
