/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol between the supervisor and the init program (guest/) that
 * `lguest-sep run` puts into a guest, over four named ports of the console device.
 * Messages from the guest are only its claim, because the guest may be hostile: the
 * supervisor checks their form and bounds.
 *
 * lguest-sep.stdin, to the guest: frames; each is a struct run_frame and its bytes.
 * lguest-sep.stdout and lguest-sep.stderr, from the guest: output of the command.
 * lguest-sep.result: the guest sends one struct run_result, with the number of bytes in
 * both output streams. When the supervisor has received that many, it sends one byte,
 * RUN_TAKEN. Only then the guest powers off, or with rounds asks for a reset (common/exit_port.h); otherwise queued output
 * would be lost. With rounds nothing is sent to stdin.
 *
 * Numbers are little-endian.
 */
#ifndef COMMON_RUN_PROTO_H
#define COMMON_RUN_PROTO_H

#include "common/util.h"

/* Longest name of a port, in bytes with its NUL. */
#define PORT_NAME_MAX 32
#define RUN_PREFIX    "lguest-sep."

enum run_port { RUN_STDIN, RUN_STDOUT, RUN_STDERR, RUN_RESULT, RUN_PORTS };
#define RUN_PORT_NAMES RUN_PREFIX "stdin", RUN_PREFIX "stdout", RUN_PREFIX "stderr", RUN_PREFIX "result"

/* Most bytes in one frame, without its header. */
#define RUN_FRAME_MAX 4096
enum run_frame_type {
	RUN_DATA = 1,  /* value: number of bytes that follow */
	RUN_EOF = 2,   /* End of standard input */
	RUN_SIGNAL = 3 /* value: signal to send to the command's process group */
};
struct run_frame {
	uint16_t type, value;
};

/* Tags of the shares of --root=, --in= and --out= (virtio-fs). */
#define RUN_ROOT_TAG RUN_PREFIX "root"
#define RUN_IN_TAG   RUN_PREFIX "in"
#define RUN_OUT_TAG  RUN_PREFIX "out"

/* The serial of the disk of --root=. */
#define RUN_DISK_SERIAL RUN_PREFIX "root"
/* What the guest does with that disk. */
enum run_disk {
	RUN_NO_DISK,
	RUN_DISK_READ_ONLY, /* Mount it read-only, beneath a layer in the guest's memory. */
	RUN_DISK_WRITABLE   /* Write to it. */
};

#define RUN_MAGIC 0x7075736cu
#define RUN_TAKEN 'k'
enum run_end {
	RUN_EXITED = 1,
	RUN_SIGNALED = 2,
	RUN_NOT_STARTED = 3 /* text: why */
};
struct run_result {
	uint32_t magic, end;
	uint32_t value; /* Exit status, or number of the signal */
	uint32_t reserved;
	uint64_t out_bytes, err_bytes;
	char text[96];
};

/*
 * Files of the init program in the initrd. RUN_COMMAND holds what to do: KEY=VALUE
 * strings, each terminated by a NUL.
 */
#define RUN_DIR		"lguest-sep"
#define RUN_INIT	"/" RUN_DIR "/init"
#define RUN_COMMAND	"/" RUN_DIR "/command"
#define RUN_COMMAND_MAX (256u << 10)
#define RUN_WORDS_MAX	4096
#define RUN_MODULES_MAX 64

#endif
