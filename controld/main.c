/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-controld: lets the owner of a guest see and control it. The supervisor
 * starts it with all its descriptors at their numbers in common/fdtab.h. It receives its
 * configuration, confines itself, and runs its loop. It opens no files, and the console
 * output is the only data of the guest that it gets.
 */
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "controld/serve.h"
#include "policy/policies.h"

static struct server server;

static uint32_t confine(const struct role_config *rc)
{
	const struct sandbox_options none = { 0 };
	uint32_t missing = sandbox_enter(&none);
	char text[LOG_LINE_MAX];

	if (sandbox_filter(&policy_controld, &missing) != 0)
		die("the kernel rejected the seccomp filter: %m");
	sandbox_missing_text(missing, text, sizeof(text));
	if (missing && rc->strict)
		die("missing on this host: %s", text);
	return missing;
}

int main(int argc, char **argv)
{
	static struct role_config rc;
	struct ctl_msg ready = { .type = CTL_READY };

	sandbox_undumpable();
	prctl(PR_SET_NAME, "lguest-sep-controld"); /* Without it, hosts before Linux 6.14 name us after a descriptor. */
	if (argc != 2 || strcmp(argv[1], "--supervised") != 0) {
		log_to_fd(STDERR_FILENO, "lguest-sep-controld", LOG_INFO);
		die("only lguest-sep can start this program; see lguest-sep --help");
	}
	signal(SIGPIPE, SIG_IGN);
	log_to_ctl(CFD_CTL, "control", LOG_INFO);
	if (ctl_recv_config(CFD_CTL, ROLE_CONTROLD, &rc) != 0)
		die("no configuration from the supervisor");
	log_to_ctl(CFD_CTL, rc.name, (enum log_level)rc.log_level);
	server_init(&server, CFD_LISTEN, CFD_CONSOLE, CFD_CTL,
		    rc.control.owner_is_self ? (uid_t)getauxval(AT_UID) : rc.control.owner);
	ready.value = confine(&rc);
	ctl_send(CFD_CTL, &ready);
	while (server_turn(&server, -1))
		;
	syscall(SYS_exit_group, 0);
	return 0;
}
