# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of lguest-sep, lguest-sep-netd, lguest-sep-blkd and lguest-sep-fsd for bash. The options
# come from `PROGRAM --list-options`, the table that the program's own parser uses. Its
# columns are separated by tabs: the option (or OPTION,SETTING), its letter, the type of
# its value, the value, and how often it may be given.

# _lguest_sep_options PROGRAM: print its table, which is read only once in each shell
_lguest_sep_options()
{
	local -n table=_lguest_sep_table_${1//[^a-zA-Z0-9]/_}
	[[ -n ${table:-} ]] || table=$("$1" --list-options 2> /dev/null)
	printf '%s\n' "$table"
}

# _lguest_sep_values PREFIX NAME WORD: complete the value WORD after "NAME=", with PREFIX before each proposal
_lguest_sep_values()
{
	local prefix=$1 name=$2 word=$3 kind value
	IFS=$'\t' read -r kind value < <(awk -F '\t' -v name="$name" '$1 == name { print $3 "\t" $4 }' <<< "$options")
	if [[ $value == NAME:FILE* ]]; then
		# Only FILE can be completed: the user chooses NAME.
		[[ $word == *:* ]] || return
		prefix+=${word%%:*}: word=${word#*:}
	fi
	case $kind:$value in
	choice:*) mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "${value//|/ }" -- "$word") ;;
	custom:DIR\|DISK*)
		# The name of a directory or of an image.
		mapfile -t COMPREPLY < <(compgen -P "$prefix" -f -- "$word")
		compopt -o filenames -o nospace 2> /dev/null
		;;
	*:USER*) mapfile -t COMPREPLY < <(compgen -P "$prefix" -u -- "$word") ;;
	*:*DIR*)
		mapfile -t COMPREPLY < <(compgen -P "$prefix" -d -- "$word")
		compopt -o filenames -o nospace 2> /dev/null
		;;
	*:*FILE* | *:*PATH* | *:*SOCKET*)
		mapfile -t COMPREPLY < <(compgen -P "$prefix" -f -- "$word")
		compopt -o filenames 2> /dev/null
		;;
	custom:*)
		# The words among the alternatives: of "tap=NAME|fd=N|user[,SETTING...]" these are tap=, fd= and user.
		mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "$(LC_ALL=C sed 's/\[[^]]*\]//g; y/|/\n/' <<< "$value" |
			LC_ALL=C sed 's/[A-Z].*//')" -- "$word")
		[[ ${COMPREPLY[*]} != *[=:] ]] || compopt -o nospace 2> /dev/null
		;;
	esac
}

# _lguest_sep_guest_commands PROGRAM: print its commands for a running guest
_lguest_sep_guest_commands()
{
	"$1" --help 2> /dev/null | sed -n 's/^ *lguest-sep \([a-z|]*\) \[\{0,1\}NAME.*/\1/p' | tr '|' '\n'
}

_lguest_sep()
{
	local program=$1 cur cword options name rest last settings commands
	COMPREPLY=()
	# Get the word as the program will get it: bash splits it at "=" and ":".
	_get_comp_words_by_ref -n =: cur cword
	options=$(_lguest_sep_options "$program")
	case $cur in
	--*=*,*)
		# A setting: --block=disk.img,sna
		name=${cur%%=*} rest=${cur%,*}, last=${cur##*,}
		if [[ $last == *=* ]]; then
			_lguest_sep_values "$rest${last%%=*}=" "$name,${last%%=*}" "${last#*=}"
		else
			settings=$(awk -F '\t' -v name="$name," 'index($1, name) == 1 {
				print substr($1, length(name) + 1) ($3 == "flag" ? "" : "=") }' <<< "$options")
			mapfile -t COMPREPLY < <(compgen -P "$rest" -W "$settings" -- "$last")
			[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2> /dev/null
		fi
		;;
	--*=*)
		_lguest_sep_values "${cur%%=*}=" "${cur%%=*}" "${cur#*=}"
		;;
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$(awk -F '\t' '$1 !~ /,/ {
			print $1 ($3 == "flag" || $3 == "action" ? "" : "=") }' <<< "$options")" -- "$cur")
		[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2> /dev/null
		;;
	*)
		if ((cword == 2)) && _lguest_sep_guest_commands "$program" | grep -qxF -- "${COMP_WORDS[1]}"; then
			mapfile -t COMPREPLY < <(compgen -W "$("$program" ps 2> /dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")
			return
		fi
		commands=
		[[ $cword != 1 ]] || commands=$("$program" --help 2> /dev/null |
			sed -n 's/^\(Usage:\)\? *lguest-sep \([a-z][a-z|]*\) .*/\2/p' | tr '|' '\n' | sort -u)
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur"; compgen -f -- "$cur")
		compopt -o filenames 2> /dev/null
		;;
	esac
	# The command line has the part before "=" or ":" already.
	! declare -F __ltrim_colon_completions > /dev/null || __ltrim_colon_completions "$cur"
	if [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*=}"}"}")
	fi
}

complete -F _lguest_sep lguest-sep lguest-sep-netd lguest-sep-blkd lguest-sep-fsd
