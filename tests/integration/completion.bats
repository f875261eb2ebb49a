#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of the command line proposes exactly the options of the tables.

load lib

setup()
{
	[[ -e /usr/share/bash-completion/bash_completion ]] || skip "no bash-completion here"
	cd "$top" || return
}

# offers LINE: prints what bash proposes at its end
offers()
{
	bash -c '
		. /usr/share/bash-completion/bash_completion
		. tools/completion/lguest-sep.bash
		PATH=$2:$PATH COMP_LINE=$1 COMP_POINT=${#1}
		read -ra COMP_WORDS < <(sed "s/\([=:]\)/ \1 /g" <<< "$1")
		[[ $1 != *[\ =:] ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_lguest_sep lguest-sep
		printf "%s\n" "${COMPREPLY[@]}"' bash "$1" "$B"
}

@test "completion: options, with an = where a value follows" {
	[[ $(offers "lguest-sep --eng") == --engine= ]]
	[[ $(offers "lguest-sep --stri") == --strict ]]
}

@test "completion: every option of the table is offered" {
	local option n=0
	for option in $("$L" --list-options | awk -F '\t' '$1 !~ /,/ { print $1 }'); do
		offers "lguest-sep $option" | grep -qE "^$option=?\$" || { echo "$option is not"; return 1; }
		((n += 1))
	done
	((n > 30))
}

@test "completion: choices, users, files and the settings of an option" {
	[[ $(offers "lguest-sep --engine=") == $'auto\nlguest\nkvm\nqemu' ]]
	[[ $(offers "lguest-sep --drop-to=nobod") == nobody ]]
	[[ $(offers "lguest-sep --block=READ") == README.md ]]
	[[ $(offers "lguest-sep --block=README.md,sna") == README.md,snapshot ]]
	[[ $(offers "lguest-sep --block=README.md,cache=w") == writeback ]]
	[[ $(offers "lguest-sep --port=log:READ") == README.md ]]
}

@test "completion: the words of a value that is no plain choice, disks and directories" {
	[[ $(offers "lguest-sep --exit-port=") == $'byte\nisa-debug-exit\nsifive-test' ]]
	[[ $(offers "lguest-sep --machine=ris") == $'riscv64\nriscv32' ]]
	[[ $(offers "lguest-sep --net=") == $'tap=\nbridge=\nfd=\nuser' ]]
	[[ $(offers "lguest-sep --tunnet=") == bridge: ]]
	[[ $(offers "lguest-sep --tunnet=10.1.0.1/24,dh") == 10.1.0.1/24,dhcp ]]
	[[ $(offers "lguest-sep run --root=READ") == README.md ]]
	[[ $(offers "lguest-sep run --root=doc") == docs ]]
	[[ $(offers "lguest-sep run --root=docs,pa") == docs,part= ]]
	[[ $(offers "lguest-sep run --out=docs,") == docs,max= ]]
	[[ $(offers "lguest-sep --share=docs,r") == docs,rw ]]
	[[ -z $(offers "lguest-sep --timeout=") ]]
}

@test "completion: names of running guests after the commands that take one" {
	printf '#!/bin/sh\n[ "$1" != ps ] || { printf "NAME PID\\nweb 1\\nold 2\\n"; exit; }\nexec "%s" "$@"\n' "$L" > "$BATS_TEST_TMPDIR/lguest-sep"
	chmod 755 "$BATS_TEST_TMPDIR/lguest-sep"
	B=$BATS_TEST_TMPDIR
	[[ $(offers "lguest-sep stop ") == $'web\nold' ]]
	[[ $(offers "lguest-sep audit w") == web ]]
	[[ $(offers "lguest-sep sysrq o") == old ]]
	[[ -z $(offers "lguest-sep ps w") && -z $(offers "lguest-sep 128 w") ]]
}

@test "completion: sub-commands as the first word alone, files anywhere" {
	[[ $(offers "lguest-sep aud") == audit ]]
	[[ $(offers "lguest-sep stat") == $'stats\nstatus' ]]
	[[ $(offers "lguest-sep atta") == attach ]]
	[[ -z $(offers "lguest-sep 128 aud") ]]
	[[ $(offers "lguest-sep 128 LICEN") == LICENSE ]]
}

@test "completion: zsh can read its file" {
	command -v zsh > /dev/null || skip "no zsh here"
	zsh -n tools/completion/_lguest-sep
}
