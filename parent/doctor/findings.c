/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of doctor's findings. Runs in lguest-sep doctor.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/doctor/findings.h"

struct finding finding[MAX_FINDINGS];
unsigned nfindings;

void add_finding(const char *group, const char *what, enum finding_state state, const char *advice, const char *fmt,
		 ...)
{
	struct finding *f = &finding[nfindings];
	va_list ap;

	if (nfindings == MAX_FINDINGS)
		return;
	nfindings++;
	f->group = group;
	f->what = what;
	f->state = state;
	if (advice)
		snprintf(f->advice, sizeof(f->advice), "%s", advice);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

int in_child(int (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
