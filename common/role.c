/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the main programs of the back-ends share: see role.h. */
#include <unistd.h>

#include "common/fdtab.h"
#include "common/fmt.h"
#include "common/log.h"
#include "common/role.h"
#include "common/sandbox.h"

unsigned role_poll_us(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 50 : 0;
}

int role_print(int act, const struct opt_row *rows, const char *program, const char *is, const char *capabilities)
{
	char text[512];

	switch (act) {
	case OPT_HELP:
		fmt_line(text, sizeof(text), "%s: %s\n\n", program, is);
		return opt_print_help(rows, text, NULL);
	case OPT_LIST:
		return opt_print_list(rows);
	case OPT_CAPABILITIES:
		fmt_line(text, sizeof(text), "{\n%s\n}\n", capabilities);
		return opt_print(text);
	default:
		fmt_line(text, sizeof(text), "%s " LGUEST_SEP_VERSION "\n", program);
		return opt_print(text);
	}
}

struct backend_config role_backend(const struct role_config *rc)
{
	return (struct backend_config){
		.device_name = rc->name,
		/* Started by the supervisor: accept only the guest memory that the parent created. */
		.memory = {
			.same_inode = rc->mem_ino != 0,
			.allow_unsealed = rc->mem_unsealed,
			.dev = rc->mem_dev,
			.ino = rc->mem_ino,
		},
		.own_front = rc->own_front,
		/* Stand-alone for live migration; a guest of ours cannot be moved to another host, but taken back. */
		.log_pages = rc->mem_ino == 0 || rc->checkpoint,
		.checkpoint = rc->checkpoint,
		.generation = rc->generation,
		.poll_us = rc->poll_us,
	};
}

void role_ready(uint32_t missing, bool supervised)
{
	char text[LOG_LINE_MAX];

	if (supervised) {
		ctl_send_text(HFD_CTL, CTL_READY, missing, "");
	} else if (missing) {
		sandbox_missing_text(missing, text, sizeof(text));
		log_line(LOG_INFO, "this host lacks: %s", text);
	}
}
