/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: bytes that a guest of lguest-sep run writes to its ports, and a modules.dep. Only the
 * first report counts; its text is printable and NUL-terminated; the paths of modules stay
 * within their directory.
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/run/modules.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/run_result.h"
#include "tests/fuzz/fuzz.h"

static void report(const uint8_t *data, size_t size)
{
	struct run_result r;
	int status;

	if (size < sizeof(r))
		return;
	memcpy(&r, data, sizeof(r));
	if (!run_result_ok(&r))
		return;
	PROMISE(memchr(r.text, '\0', sizeof(r.text)));
	for (const char *c = r.text; *c; c++)
		PROMISE(*c >= ' ' && *c <= '~');
	status = run_result_status(&r, false);
	PROMISE(status >= -1 && status <= EXIT_RUN_CUT);
	PROMISE(run_result_status(&r, true) <= 255);
}

static void modules(const uint8_t *data, size_t size)
{
	static struct module_list l;

	memset(&l, 0, sizeof(l));
	(void)modules_add(&l, (const char *)data, size, "virtio");
	(void)modules_add(&l, (const char *)data, size, "a");
	PROMISE(l.n <= RUN_MODULES_MAX);
	for (unsigned i = 0; i < l.n; i++)
		PROMISE(l.path[i][0] && l.path[i][0] != '/' && !strstr(l.path[i], ".."));
}

/* Write the bytes to the result port in two pieces: the report must be the same as in one piece. */
static void port(const uint8_t *data, size_t size)
{
	static struct host host;
	static struct config config;
	static struct supervisor s;
	static int far[MAX_PORTS];
	size_t first = size ? data[0] % (size + 1) : 0;

	if (size > 4096)
		return;
	s.h = &host;
	s.c = &config;
	config.run.on = true;
	config.nports = RUN_PORTS;
	host.term.in = host.term.out = host.term.err = -1;
	sup_ports_prepare(&s);
	if (sup_ports_start(&s, far) < 0)
		return;
	if (first && write(far[RUN_RESULT], data, first) == (ssize_t)first)
		sup_port_ready(&s, RUN_RESULT, POLLIN);
	if (size > first && write(far[RUN_RESULT], data + first, size - first) == (ssize_t)(size - first))
		sup_port_ready(&s, RUN_RESULT, POLLIN);
	if (size >= sizeof(struct run_result)) {
		struct run_result r;

		memcpy(&r, data, sizeof(r));
		PROMISE(run_result_ok(&r) == (sup_run_result(&s) != NULL));
	} else {
		PROMISE(!sup_run_result(&s));
	}
	sup_ports_clean(&s);
	for (unsigned i = 0; i < RUN_PORTS; i++)
		close(far[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	report(data, size);
	modules(data, size);
	port(data, size);
	return 0;
}
