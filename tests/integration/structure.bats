#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2030,SC2031
#
# The lints of the tree's structure fail on a tree that breaks their rules.

setup()
{
	tools=$BATS_TEST_DIRNAME/../../tools
	cd "$BATS_TEST_TMPDIR" || exit
	mkdir -p build/part part
}

compile() # NAME: compiles part/NAME.c to build/part/NAME.o
{
	gcc -c -o "build/part/$1.o" "part/$1.c"
}

# top() calls middle(), which calls bottom(); bottom() calls the given function.
three_files() # CALL
{
	echo 'void middle(void); void top(void); void top(void) { middle(); }' > part/top.c
	echo 'void bottom(void); void middle(void); void middle(void) { bottom(); }' > part/middle.c
	echo "void top(void); void bottom(void); void bottom(void) { $1; }" > part/bottom.c
	for f in top middle bottom; do compile $f; done
}

@test "AppArmor: the launcher's profiles exist, no others do, and the file parses" {
	top=$BATS_TEST_DIRNAME/../..
	file=$top/contrib/apparmor/lguest-sep.in
	# The quoted names in the source, and the profiles of the file.
	wanted=$(grep -hoE '"lguest-sep-[a-z]+"' "$top"/parent/room/apparmor.c "$top"/parent/supervise/supervise.c "$top"/parent/setup/cleaner.c |
		tr -d '"' | grep -v tidy | sort)
	have=$(sed -nE 's/^profile (lguest-sep-[a-z]+) .*/\1/p' "$file" | sort)
	[[ $(wc -l <<< "$have") -ge 9 ]]
	diff <(echo "$wanted") <(echo "$have")
	command -v apparmor_parser > /dev/null || skip "no apparmor_parser to parse them"
	sed 's|@BINDIR@|/usr/bin|' "$file" > profiles
	apparmor_parser -QKT --abort-on-error profiles
	# A mistake is noticed.
	sed -i 's/network unix,/network unxi,/' profiles
	run apparmor_parser -QKT profiles
	[[ $status != 0 ]]
}

@test "call-circles: a circle of three files is found, with the symbols that make it" {
	three_files 'top()'
	run "$tools/call-circles" program=build/part/top.o,build/part/middle.o,build/part/bottom.o
	[[ $status == 1 ]]
	[[ $output == *"program: call circle:"* ]]
	[[ $output == *"build/part/top.o uses build/part/middle.o: middle"* ]]
	[[ $output == *"build/part/middle.o uses build/part/bottom.o: bottom"* ]]
	[[ $output == *"build/part/bottom.o uses build/part/top.o: top"* ]]
}

@test "call-circles: a circle through a table of functions, inside an archive" {
	printf '%s\n' 'extern const void *const table[1]; const void *use(void);' 'const void *use(void) { return table[0]; }' > part/user.c
	printf '%s\n' 'const void *use(void); extern const void *const table[1];' 'const void *const table[1] = { use };' > part/table.c
	compile user
	compile table
	ar rcs build/all.a build/part/user.o build/part/table.o
	run "$tools/call-circles" program=build/all.a
	[[ $status == 1 ]]
	[[ $output == *"user.o: use"* && $output == *"table.o: table"* ]]
}

@test "call-circles: none, and the same name in two programs is no circle" {
	three_files ''
	"$tools/call-circles" program=build/part/top.o,build/part/middle.o,build/part/bottom.o
	mkdir other
	gcc -c -o other/bottom.o -xc - <<< 'void top(void); void bottom(void); void bottom(void) { top(); }'
	"$tools/call-circles" one=build/part/top.o,build/part/middle.o,build/part/bottom.o two=other/bottom.o
}

@test "call-circles: a program without objects is an error" {
	run "$tools/call-circles" program=
	[[ $status == 2 ]]
}

@test "include-direction: an include upwards, or of a neighbour, is found" {
	mkdir -p parent/setup parent/supervise parent/options parent/room
	touch parent/setup/setup.h parent/supervise/state.h parent/room/room.h
	echo '#include "parent/setup/setup.h"' > parent/supervise/start.c
	echo '#include "parent/room/room.h"' > parent/setup/setup.c
	"$tools/include-direction" .
	echo '#include "parent/supervise/state.h"' > parent/setup/net.c
	run "$tools/include-direction" .
	[[ $status == 1 ]]
	[[ $output == "parent/setup/net.c:1: includes parent/supervise/state.h"* ]]
	rm parent/setup/net.c
	echo '#include "parent/room/room.h"' > parent/options/options.c
	run "$tools/include-direction" .
	[[ $status == 1 && $output == "parent/options/options.c:1: "* ]]
}

@test "header-owners: another file's function, and nobody's, is found" {
	echo 'int one(void);' > part/one.h
	printf '%s\n' '#include "one.h"' 'int one(void) { return 1; }' > part/one.c
	printf '%s\n' 'int two(void);' 'int two(void) { return 2; }' > part/two.c
	compile one
	compile two
	"$tools/header-owners" build part/one.h
	echo 'int two(void);' >> part/one.h
	run "$tools/header-owners" build part/one.h
	[[ $status == 1 && $output == "part/one.h declares two(), which is defined in part/two.c" ]]
	echo 'const char *three(int a,' > part/one.h
	run "$tools/header-owners" build part/one.h
	[[ $status == 1 && $output == "part/one.h declares three(), which is defined nowhere" ]]
}

@test "include-order: each way to be out of order is found" {
	printf '%s\n' '/* SPDX */' '#include <errno.h>' '#include <string.h>' '' '#include "part/one.h"' > good.c
	"$tools/include-order" good.c
	printf '%s\n' '#include <string.h>' '#include <errno.h>' > sorted.c
	printf '%s\n' '#include "part/one.h"' '' '#include <errno.h>' > after.c
	printf '%s\n' '#include <errno.h>' '#include "part/one.h"' > blank.c
	printf '%s\n' '#include "one.h"' > rooted.c
	for f in sorted after blank rooted; do
		run "$tools/include-order" $f.c
		[[ $status == 1 && $output == "$f.c:"* ]]
	done
}
