/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the main programs of the back-ends (netd, blkd, fsd) share: rows of their option tables, and the way from the
 * supervisor's configuration to a confined process that is ready.
 */
#ifndef COMMON_ROLE_H
#define COMMON_ROLE_H

#include "common/backend.h"
#include "common/ctl.h"
#include "common/options.h"

/*
 * Rows for a struct @type with the members socket_path, fd, poll_us and allow_unsealed. The vhost-user specification
 * ("Backend program conventions") defines the first three.
 */
#define ROLE_SOCKET_ROWS(type)                                                                       \
	{ .name = "socket-path",                                                                     \
	  .kind = OPT_TEXT,                                                                          \
	  .arg = "PATH",                                                                             \
	  OPT_TO(type, socket_path),                                                                 \
	  .help = "listen on this socket; serve one front-end after another until SIGTERM",          \
	  .reason = "the path of the socket is missing" },                                           \
		{ .name = "fd",                                                                      \
		  .kind = OPT_NUMBER,                                                                \
		  .arg = "FDNUM",                                                                    \
		  .max = INT32_MAX,                                                                  \
		  OPT_TO(type, fd),                                                                  \
		  .help = "instead of --socket-path: an inherited socket, connected or listening" }, \
	{                                                                                            \
		.name = "print-capabilities", .kind = OPT_ACTION, .act = OPT_CAPABILITIES,           \
		.help = "print the features of this program as JSON"                                 \
	}
#define ROLE_LOOP_ROWS(type)                                                                                         \
	{ .name = "poll-us",                                                                                         \
	  .kind = OPT_NUMBER,                                                                                        \
	  .arg = "N",                                                                                                \
	  .max = 1000000,                                                                                            \
	  OPT_TO(type, poll_us),                                                                                     \
	  .help = "busy polling: microseconds to check for work before sleeping, while work keeps coming (default: " \
		  "50, or 0 on a host with one CPU)" },                                                              \
	{                                                                                                            \
		.name = "allow-unsealed-memory", .kind = OPT_FLAG, OPT_TO(type, allow_unsealed),                     \
		.help = "accept guest memory whose size is not sealed (libblkio and DPDK use such memory); if the "  \
			"front-end truncates it, the process of the connection is killed"                            \
	}
#define ROLE_LAST_ROWS                                                                                      \
	{ .name = "help", .letter = 'h', .kind = OPT_ACTION, .act = OPT_HELP, .help = "print this text" },  \
		{ .name = "version", .kind = OPT_ACTION, .act = OPT_VERSION, .help = "print the version" }, \
		{ .name = "list-options", .kind = OPT_ACTION, .act = OPT_LIST, .hidden = true },            \
	{                                                                                                   \
		.name = NULL                                                                                \
	}

/* Default of --poll-us: busy polling doubles the throughput at queue depth 1 if the front-end has another CPU. */
unsigned role_poll_us(void);
/*
 * Print to standard output what @act (enum opt_act) asks for. @program: "lguest-sep-blkd"; @is: what --help says of it;
 * @capabilities: the members of the JSON object of --print-capabilities. Returns 0, or -1 with errno set.
 */
int role_print(int act, const struct opt_row *rows, const char *program, const char *is, const char *capabilities);

/* Returns the configuration of the loop as far as @rc has it. It refers to @rc. */
struct backend_config role_backend(const struct role_config *rc);
/* Report to the supervisor, or in the log, that this process is confined, except for the layers @missing. */
void role_ready(uint32_t missing, bool supervised);

#endif
