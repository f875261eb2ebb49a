/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of lguest-sep: the table for the option driver (common/options.h). Runs in
 * the parent before it opens anything.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "parent/options/disk.h"
#include "parent/options/limits.h"
#include "parent/options/machine.h"
#include "parent/options/net.h"
#include "parent/options/output.h"
#include "parent/options/run.h"
#include "parent/options/share.h"
#include "parent/options/shmem.h"
#include "parent/options/table.h"
#include "parent/terminal/console.h"

static const char *parse_name(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	size_t good = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	(void)p;
	if (!*value || value[good] || strlen(value) > 60)
		return "a name has 1 to 60 letters, digits, dashes, dots and underscores";
	c->name = value;
	return NULL;
}

#define INTO(member) OPT_TO(struct config, member)
#define SEEN(member) OPT_SEEN(struct config, member)

/* Parse "off" or a control key, written "^X", "ctrl-X" or only "X". X is a letter or one of [ \ ] ^ _. */
static const char *parse_escape(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	const char *key = value;

	(void)p;
	if (!strcmp(value, "off")) {
		c->escape_key = ESCAPE_OFF;
		return NULL;
	}
	if (!strncasecmp(value, "ctrl-", 5))
		key += 5;
	else if (value[0] == '^' && value[1])
		key++;
	if (!*key || key[1] || !((*key >= '[' && *key <= '_') || isalpha((unsigned char)*key)))
		return "give off, or a control key such as ^C or C: a letter or one of [ \\ ] ^ _";
	c->escape_key = *key & 31;
	return NULL;
}

const struct opt_row option_table[] = {
	{ .name = "block",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "FILE[,SETTING...]",
	  .help = "a disk (vda, vdb... in order): a raw image or block device. Settings: ro, snapshot (writes are "
		  "discarded at the end), format=raw, serial=TEXT, lock=off, direct=on, cache=" BLK_CACHE_NAMES
		  ", queues=N, "
		  "io=" BLK_IO_NAMES ", rate=REQUESTS/s, bandwidth=BYTES/s; a comma in FILE is written ,,",
	  .parse = parse_block,
	  .settings = block_settings },
	{ .name = "boot-disk",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "FILE[,SETTING...]",
	  .help = "a disk that the firmware of a machine of the qemu engine boots, if no KERNEL is given: a raw image or "
		  "block device. Settings: bus=ide|virtio (default: ide on x86, with the machine pc), ro, snapshot, "
		  "format=raw, serial=TEXT, lock=off; a comma in FILE is written ,,",
	  .parse = parse_boot_disk,
	  .settings = boot_settings },
	{ .name = "cdrom",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "FILE[,SETTING...]",
	  .help = "a CD, booted in its turn like --boot-disk; a read-only virtio disk if the machine has no IDE. Settings: "
		  "format=raw, lock=off; a comma in FILE is written ,,",
	  .parse = parse_cdrom,
	  .settings = cdrom_settings },
	{ .name = "tunnet",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "IP[/LEN][:MAC][,SETTING...] | bridge:NAME[:MAC][,SETTING...]",
	  .help = "a NIC (eth0, eth1... in order) on a new tap, whose host end gets the address IP (IPv6 in brackets) "
		  "or is attached to the bridge. The guest reaches no service of the host and nothing beyond it "
		  "unless a setting allows it: reach=tcp:PORT|udp:PORT|all|forward, nat, dhcp (answer its DHCP "
		  "requests and router solicitations), and the settings of --net",
	  .parse = parse_tunnet,
	  .settings = net_settings },
	{ .name = "net",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "tap=NAME|bridge=NAME|fd=N|user[,SETTING...]",
	  .help = "a NIC on an existing tap, on a new tap on a bridge, or on an open tap descriptor. Settings: mac=MAC, "
		  "ip=ADDRESS (the guest may use no other), ifname=NAME (of a new tap), mtu=N, offload=off, "
		  "spoof-check=off, queues=N, rate=PACKETS/s, bandwidth=BYTES/s, pcap=FILE (record its frames), "
		  "max=SIZE (of that file; default: 64M). user: a NIC for any user, without a tap, by the program "
		  "passt; the guest reaches the host's networks, but not the host itself. Settings of user: "
		  "forward=tcp|udp:[ADDR:]PORT:GUESTPORT (of the host, into the guest), restrict (the guest only "
		  "answers), reach=host",
	  .parse = parse_net,
	  .settings = net_settings },
	{ .name = "share",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "DIR[,SETTING...]",
	  .help = "share the directory DIR with the guest, read-only; in the guest: mount -t virtiofs TAG /mnt. Settings: "
		  "rw (the guest may write), max=SIZE (the most that it may then add, and the longest file; default: "
		  "256M), tag=TAG (default: fs0, fs1... in order), inodes=N (most files that the guest holds at a time; "
		  "default: 262144), queues=N (request queues; default: one for each processor, 4 at most), cache=auto|none|always (how soon it sees a change of the host: a second, at once, a "
		  "day; default: auto); a comma in DIR is written ,,",
	  .parse = parse_share,
	  .settings = share_settings },
	{ .name = "rng", .kind = OPT_FLAG, INTO(rng), .help = "give the guest the host's random numbers (/dev/hwrng)" },
	{ .name = "initrd",
	  .kind = OPT_TEXT,
	  .arg = "FILE",
	  INTO(initrd),
	  .help = "initial RAM disk",
	  .reason = "the name of a file is missing" },
	{ .name = "console",
	  .kind = OPT_CUSTOM,
	  .arg = "FILE[,SETTING...]",
	  .help = "write the guest's console to FILE (-: standard output) instead of the terminal; a comma in FILE is "
		  "written ,,. Settings: timestamps, max=SIZE (default: 64M, without limit on a terminal)",
	  .parse = parse_console,
	  .settings = console_settings },
	{ .name = "port",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "NAME:FILE[,SETTING]",
	  .help = "write to FILE what the guest writes to the port NAME of its console device (/dev/virtio-ports/NAME); "
		  "a comma in FILE is written ,,. Setting: max=SIZE (default: 64M)",
	  .parse = parse_port,
	  .settings = port_settings },
	{ .name = "root",
	  .kind = OPT_CUSTOM,
	  .arg = "DIR|DISK[,SETTING...]",
	  .help = "run: the guest's root directory is DIR (of the host: /), shared read-only, or the file system on "
		  "DISK (a raw image or block device); what the guest writes stays in its memory and is lost. Settings "
		  "of DISK: part=N (of its partition table), ro (the default), snapshot (write to a copy that is "
		  "discarded), rw, format=raw, lock=off; a comma "
		  "in DISK is written ,,",
	  .parse = parse_root,
	  .settings = root_settings },
	{ .name = "in",
	  .kind = OPT_CUSTOM,
	  .arg = "DIR",
	  .help = "run: share DIR read-only, as /in",
	  .parse = parse_in },
	{ .name = "out",
	  .kind = OPT_CUSTOM,
	  .arg = "DIR[,max=SIZE]",
	  .help = "run: share DIR as /out, where the guest may write (max: most that it may add; default: 256M); a comma in "
		  "DIR is written ,,",
	  .parse = parse_out,
	  .settings = out_settings },
	{ .name = "modules",
	  .kind = OPT_CUSTOM,
	  .arg = "DIR",
	  .help = "run: the directory of the kernel's modules (default: found by the kernel's name)",
	  .parse = parse_modules },
	{ .name = "copy",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "FILE[,SETTING]",
	  .help = "run: copy FILE into the guest, as /NAME; a comma in FILE is written ,,. Setting: to=PATH (in the guest)",
	  .parse = parse_copy,
	  .settings = copy_settings },
	{ .name = "env",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "NAME=VALUE",
	  .help = "run: a variable of COMMAND's environment",
	  .parse = parse_env },
	{ .name = "cwd",
	  .kind = OPT_CUSTOM,
	  .arg = "DIR",
	  .help = "run: the guest's directory in which COMMAND starts (default: /)",
	  .parse = parse_cwd },
	{ .name = "raw-status",
	  .kind = OPT_FLAG,
	  INTO(run.raw_status),
	  .help = "run: also pass on COMMAND's statuses of 124 and above, and 128 + N for signal N" },
	{ .name = "exit-port",
	  .kind = OPT_CUSTOM,
	  .optional = true,
	  .arg = "byte|isa-debug-exit|sifive-test[,SETTING]",
	  .help = "end the guest when it writes a byte to I/O port 0xf4, with status 0 if the byte is 0, otherwise 9. "
		  "With isa-debug-exit the number is the exit status of QEMU's device of that name, and 1 means "
		  "success. With sifive-test it is the code that the guest writes to a riscv machine's test device. "
		  "Settings: success=N (the number that means success), iobase=0xf4|0x501 (the port; 0x501 is where QEMU "
		  "has its device unless told otherwise)",
	  .parse = parse_exit_port,
	  .settings = exit_port_settings },
	{ .name = "checkpoint",
	  .kind = OPT_FLAG,
	  INTO(checkpoint),
	  .help = "let the guest go back to an earlier state of its own (kvm engine): C at its exit port takes a checkpoint, "
		  "R returns to it; so do lguest-sep checkpoint and reset. Doubles its memory; implies --exit-port" },
	{ .name = "checkpoint-at",
	  .kind = OPT_CUSTOM,
	  .arg = "command",
	  .help = "run: take the checkpoint right before COMMAND starts, and with --resets=N run COMMAND N times more, each time "
		  "from that state (kvm engine). A round's status is COMMAND's; that of all is the first one that is not 0",
	  .parse = parse_checkpoint_at },
	{ .name = "resets",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = 1000000000,
	  INTO(resets),
	  .help = "with --checkpoint: after N resets the next one ends the guest, with status 0 (default: no limit)" },
	{ .name = "reset-on",
	  .kind = OPT_CUSTOM,
	  .arg = "EVENT[,EVENT...]",
	  .help = "with --checkpoint: return to the checkpoint, if one was taken, instead of ending. Events: poweroff, reboot, "
		  "panic, crash, exit-port (the guest writes to it), timeout=SECONDS (since the checkpoint or the last reset)",
	  .parse = parse_reset_on,
	  .settings = reset_on_settings },
	{ .name = "reset",
	  .kind = OPT_CHOICE,
	  .arg = "keep|fresh",
	  INTO(fresh),
	  SEEN(fresh_set),
	  .help = "with --checkpoint: what a reset does with the guest's helper processes: take their state back (default), or "
		  "start other ones, in case the guest has taken one over" },
	{ .name = "vmgenid",
	  .kind = OPT_CHOICE,
	  .arg = "new|same",
	  INTO(vmgenid_same),
	  SEEN(vmgenid_set),
	  .help = "whether the guest's kernel makes its random numbers new after a reset and --from (default), or not" },
	{ .name = "save",
	  .kind = OPT_TEXT,
	  .arg = "FILE",
	  INTO(save),
	  .help = "write the guest's first checkpoint to FILE, which must not exist; implies --checkpoint",
	  .reason = "the name of a file is missing" },
	{ .name = "from",
	  .kind = OPT_TEXT,
	  .arg = "FILE",
	  INTO(from),
	  .help = "start from FILE, which --save has written, instead of a KERNEL; with the same MEM-MB and "
		  "options of devices. Any number of guests can",
	  .reason = "the name of a file is missing" },
	{ .name = "shmem",
	  .kind = OPT_CUSTOM,
	  .arg = "FILE[,SETTING...]",
	  .help = "show the guest FILE as the memory of a PCI device, which no reset takes back (kvm engine). Other programs "
		  "of the host map FILE, too. Settings: size=SIZE (create it; a power of two from 4k to 256M), ro (the guest "
		  "only reads); a comma in FILE is written ,,",
	  .parse = parse_shmem,
	  .settings = shmem_settings },
	{ .name = "name",
	  .kind = OPT_CUSTOM,
	  .arg = "NAME",
	  .help = "the guest's name for lguest-sep ps, stop, audit and so on (default for audit: the kernel's file "
		  "name); each user can have one running guest of a name",
	  .parse = parse_name },
	{ .name = "config",
	  .kind = OPT_TEXT,
	  .arg = "FILE",
	  INTO(conf),
	  .help = "read words of the command line from FILE, one a line: options, MEM-MB, KERNEL. Empty lines and lines "
		  "that begin with # are left out",
	  .reason = "the name of a file is missing" },
	{ .name = "control",
	  .kind = OPT_FLAG,
	  INTO(control),
	  .help = "give the guest a control socket, for lguest-sep ps, status, stop and so on; --name implies it" },
	{ .name = "detach",
	  .kind = OPT_FLAG,
	  INTO(detach),
	  .help = "run the guest in the background: print its name and end when it runs. Implies --control" },
	{ .name = "drop-to",
	  .kind = OPT_CUSTOM,
	  .arg = "USER[:GROUP]",
	  .help = "the user that all processes switch to once everything is open (default for root: " GUEST_USER
		  " if there is such a user, otherwise nobody)",
	  .parse = parse_drop_to },
	{ .name = "engine",
	  .kind = OPT_CHOICE,
	  .arg = ENGINE_NAMES,
	  INTO(engine),
	  .help = "what runs the guest's instructions (default: auto)" },
	{ .name = "machine",
	  .kind = OPT_CUSTOM,
	  .arg = MACHINE_ARG,
	  .help = "the machine that the qemu engine emulates (default: x86_64). TYPE is q35 (default) or pc for x86_64 "
		  "and i386, otherwise virt",
	  .parse = parse_machine },
	{ .name = "cpu",
	  .kind = OPT_CUSTOM,
	  .arg = "MODEL[,PROPERTY=VALUE...]",
	  .help = "the CPU of the qemu engine's machine, as QEMU names it (qemu-system-NAME -cpu help lists them)",
	  .parse = parse_cpu },
	{ .name = "firmware",
	  .kind = OPT_CUSTOM,
	  .arg = FIRMWARE_NAMES "|FILE",
	  .help = "the firmware of the machine: seabios (x86, the default there), ovmf (UEFI), u-boot, or a FILE. On riscv "
		  "also opensbi, or none, so that the kernel starts in machine mode (default: none if an ELF kernel is "
		  "linked to the start of RAM, otherwise opensbi)",
	  .parse = parse_firmware },
	{ .name = "smp",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = MAX_VCPUS,
	  INTO(smp),
	  .help = "virtual CPUs (default: 1)" },
	{ .name = "no-reboot", .kind = OPT_FLAG, INTO(no_reboot), .help = "end when the guest reboots, with status 7" },
	{ .name = "max-reboots",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .max = 1000000,
	  INTO(max_reboots),
	  SEEN(max_reboots_set),
	  .help = "let the guest reboot N times (default: 16 with lguest, otherwise without limit)" },
	{ .name = "max-restarts",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .max = MAX_RESTARTS,
	  INTO(max_restarts),
	  SEEN(max_restarts_set),
	  .help = "restart disk, NIC and share processes that die up to N times a minute, then end the guest "
		  "(default: 5; 0: end the guest at once)" },
	{ .name = "timeout",
	  .kind = OPT_CUSTOM,
	  .arg = "SECONDS",
	  .parse = parse_timeout,
	  .help = "end the guest after this time; decimals are possible (0.5)" },
	{ .name = "cpu-timeout",
	  .kind = OPT_CUSTOM,
	  .arg = "SECONDS",
	  .parse = parse_cpu_timeout,
	  .help = "end the guest when its processes have used this much processor time together" },
	{ .name = "memory-max",
	  .kind = OPT_SIZE,
	  .arg = "SIZE",
	  .min = 1 << 20,
	  .max = UINT64_C(1) << 50,
	  INTO(limit.memory),
	  .help = "most memory of all processes of the guest together, with the guest's memory (a cgroup of version 2); "
		  "a guest that needs more is ended",
	  .reason = "give a size from 1M on, such as 512M" },
	{ .name = "cpus",
	  .kind = OPT_CUSTOM,
	  .arg = "N",
	  .help = "most processor time of all processes of the guest together, as a number of processors such as 1.5 "
		  "(a cgroup)",
	  .parse = parse_cpus },
	{ .name = "pids-max",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = 4194304,
	  INTO(limit.pids),
	  .help = "most processes and threads of the guest together on the host (a cgroup)" },
	{ .name = "cgroup-parent",
	  .kind = OPT_CUSTOM,
	  .arg = "DIR",
	  .help = "the directory of the cgroup below which the guest's is made (default: the one that lguest-sep was "
		  "started in)",
	  .parse = parse_cgroup_parent },
	{ .name = "stop-timeout",
	  .kind = OPT_NUMBER,
	  .arg = "SECONDS",
	  .min = 1,
	  .max = 100000000,
	  INTO(stop_timeout_s),
	  .help = "how long SIGTERM waits for the guest to power off (default: 90)" },
	{ .name = "escape",
	  .kind = OPT_CUSTOM,
	  .arg = "KEY|off",
	  .parse = parse_escape,
	  .help = "the key that ends the guest when typed three times within a second on a terminal: ^A to ^Z, ^[, ^\\, "
		  "^], ^^, ^_ (default: ^C); off: all keys go to the guest" },
	{ .name = "on-fault",
	  .kind = OPT_CHOICE,
	  .arg = "reset|kill",
	  INTO(kill_on_fault),
	  .help = "if the guest breaks a virtqueue rule: stop the queue until the guest resets the device (default), or end "
		  "the guest" },
	{ .name = "strict",
	  .kind = OPT_FLAG,
	  INTO(strict),
	  .help = "refuse to start if this host lacks a layer of confinement" },
	{ .name = "poll-us",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .max = 1000000,
	  INTO(poll_us),
	  .help = "how many microseconds busy disks, NICs and shares poll for work before they sleep (default: 50, or 0 on "
		  "one CPU)" },
	{ .name = "vhost-user-blk",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "SOCKET",
	  .help = "a disk served by another program",
	  .parse = parse_vhost_user_blk },
	{ .name = "vhost-user-net",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "SOCKET",
	  .help = "a NIC served by another program",
	  .parse = parse_vhost_user_net },
	{ .name = "vhost-user-fs",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "SOCKET[,tag=TAG]",
	  .help = "a file system (virtio-fs) served by another program, for example virtiofsd",
	  .parse = parse_vhost_user_fs,
	  .settings = foreign_share_settings },
	{ .name = "result",
	  .kind = OPT_TEXT,
	  .arg = "FILE",
	  INTO(result),
	  .help = "write to FILE, as JSON, how and why the guest ended and what it used",
	  .reason = "the name of a file is missing" },
	{ .name = "stats",
	  .kind = OPT_FLAG,
	  INTO(stats),
	  .help = "print the counters of every process at the end, and on SIGUSR1" },
	{ .name = "verbose",
	  .letter = 'v',
	  .kind = OPT_FLAG,
	  INTO(verbose),
	  .help = "print each step and how long it took" },
	{ .name = "quiet",
	  .letter = 'q',
	  .kind = OPT_FLAG,
	  INTO(quiet),
	  .help = "print only errors; the guest's console is shown as without this option" },
	{ .name = "help", .letter = 'h', .kind = OPT_ACTION, .act = OPT_HELP, .help = "this text" },
	{ .name = "version",
	  .kind = OPT_ACTION,
	  .act = OPT_VERSION,
	  .help = "the version, and how many system calls each process may make" },
	{ .name = "mem",
	  .letter = 'm',
	  .kind = OPT_WRONG,
	  .hidden = true,
	  .reason =
		  "memory is a word of its own before the kernel, without an option: lguest-sep [OPTION...] 512 vmlinuz" },
	{ .name = "memory",
	  .kind = OPT_WRONG,
	  .hidden = true,
	  .reason =
		  "memory is a word of its own before the kernel, without an option: lguest-sep [OPTION...] 512 vmlinuz" },
	{ .name = "kernel",
	  .kind = OPT_WRONG,
	  .hidden = true,
	  .reason = "the kernel is a word of its own after the memory: lguest-sep [OPTION...] 512 vmlinuz" },
	{ .name = "append",
	  .kind = OPT_WRONG,
	  .hidden = true,
	  .reason =
		  "the kernel's arguments are words after the kernel: lguest-sep [OPTION...] 512 vmlinuz root=/dev/vda" },
	{ .name = "disk", .kind = OPT_WRONG, .hidden = true, .reason = "a disk is --block=FILE here" },
	{ .name = "drive", .kind = OPT_WRONG, .hidden = true, .reason = "a disk is --block=FILE here" },
	{ .name = "list-options", .kind = OPT_ACTION, .act = OPT_LIST, .hidden = true },
	{ .name = NULL },
};
_Static_assert(ARRAY_SIZE(option_table) <= OPT_ROWS_MAX + 1, "the parser has one bit for each option");
