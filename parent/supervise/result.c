/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the result of --result: see result.h. Runs in the supervisor. Observations of the
 * supervisor, reports of the vCPU process and of the helpers, and claims of the guest have
 * separate keys (docs/result.schema.json): all except the first may be lies.
 */
#include "common/utc.h"
#include "parent/setup/result.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/limits.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/result.h"
#include "parent/supervise/rounds.h"
#include "parent/supervise/usage.h"

static char buf[131072];

/* The value of "end" for the exit status that a guest without run would have. */
static const char *end_word(const struct supervisor *s, int status)
{
	switch (status) {
	case EXIT_POWEROFF:
		return s->have_end && s->end == GUEST_REPORTED && s->reported_at ? "exit-port" : "poweroff";
	case EXIT_REPORTED:
		return "exit-port";
	case EXIT_GUEST_PANIC:
		return "panic";
	case EXIT_ROLE_DIED:
		return s->out_of_memory ? "out-of-memory" : "role-died";
	case EXIT_TIMEOUT:
		return s->cpu_timed_out ? "cpu-timeout" : "timeout";
	case EXIT_GUEST_FAULT:
		return "fault";
	case EXIT_REBOOTS:
		return "reboot";
	case EXIT_RESTARTS:
		return "restarts";
	case EXIT_HOST:
		return "host";
	default:
		return "signal";
	}
}

static const char *vcpu_word(const struct supervisor *s)
{
	static const char *const word[] = { [GUEST_POWEROFF] = "poweroff",
					    [GUEST_REBOOT] = "reboot",
					    [GUEST_PANIC] = "panic",
					    [GUEST_CRASH] = "crash",
					    [GUEST_LOAD_FAILED] = "load-failed",
					    [GUEST_ENGINE_FAILED] = "engine-failed",
					    [GUEST_HOST_FAILED] = "host-failed",
					    [GUEST_REPORTED] = "exit-port" };

	return s->have_end && s->end < ARRAY_SIZE(word) ? word[s->end] : NULL;
}

void sup_result_conclude(struct supervisor *s, int status)
{
	s->end_status = status;
	s->message_final = true;
}

static void add_ports(const struct supervisor *s, struct json *j)
{
	json_open(j, "ports", '[');
	for (unsigned i = 0; i < s->c->nports; i++) {
		uint64_t bytes, dropped;

		sup_port_counts(s, i, &bytes, &dropped);
		json_open(j, NULL, '{');
		json_text(j, "name", s->c->port[i].name);
		json_number(j, "bytes", bytes);
		json_number(j, "dropped", dropped);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void add_roles(const struct supervisor *s, struct json *j)
{
	char text[LOG_LINE_MAX];

	json_open(j, "roles", '[');
	for (unsigned i = 0; i < s->nroles; i++) {
		const struct sup_role *r = &s->role[i];

		if (r->host->foreign >= 0)
			continue;
		json_open(j, NULL, '{');
		json_text(j, "name", r->host->name);
		json_number(j, "cpu_ms", sup_cpu_us(r) / 1000);
		json_number(j, "peak_rss_kib", r->peak_rss_kib);
		if (r->killed_at) {
			json_text(j, "ended", "killed by lguest-sep");
		} else if (r->end.type == SPAWN_ENDED) {
			spawn_end_text(&r->end, text, sizeof(text));
			json_text(j, "ended", text);
		} else {
			json_null(j, "ended");
		}
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* Observations of the supervisor itself. */
static void add_supervisor(const struct supervisor *s, struct json *j)
{
	char text[UTC_TEXT];
	uint64_t began = s->c->began_us / 1000, now = now_ms();

	json_open(j, "supervisor", '{');
	json_text(j, "message", *s->message ? s->message : NULL);
	utc_text(s->console.utc_offset + began, text);
	json_text(j, "started", text);
	utc_text(s->console.utc_offset + now, text);
	json_text(j, "ended", text);
	json_number(j, "wall_ms", now - began);
	json_number(j, "starts", s->starts);
	json_number(j, "restarts", s->restarts);
	json_open(j, "console", '{');
	json_number(j, "bytes", s->console.bytes);
	json_number(j, "dropped", s->console.dropped + s->out.dropped);
	json_close(j, '}');
	sup_limits_result(s, j);
	add_ports(s, j);
	add_roles(s, j);
	json_close(j, '}');
}

/* Reports of the roles: the guest's ring faults that each counted. */
static void add_claims_of_roles(const struct supervisor *s, struct json *j)
{
	json_open(j, "vcpu", '{');
	json_text(j, "end", vcpu_word(s));
	json_text(j, "text", s->have_end && *s->end_text ? s->end_text : NULL);
	json_number(j, "faults", s->role[s->nroles - 1].faults);
	json_close(j, '}');
	json_open(j, "helpers", '{');
	for (unsigned i = 0; i + 1 < s->nroles; i++) {
		if (s->role[i].host->foreign >= 0)
			continue;
		json_open(j, s->role[i].host->name, '{');
		json_number(j, "faults", s->role[i].faults);
		json_close(j, '}');
	}
	json_close(j, '}');
}

static void add_claims_of_guest(const struct supervisor *s, struct json *j)
{
	static const char *const end[] = {
		[RUN_EXITED] = "exited", [RUN_SIGNALED] = "signaled", [RUN_NOT_STARTED] = "not-started"
	};
	const struct run_result *r = sup_run_result(s);

	json_open(j, "guest", '{');
	json_text(j, "panic", s->panic.seen ? s->panic.text : s->panic_serial.seen ? s->panic_serial.text : NULL);
	if (s->reported_at)
		json_number(j, "exit_port", sup_reported_number(s));
	else
		json_null(j, "exit_port");
	if (r) {
		json_open(j, "command", '{');
		json_text(j, "end", end[r->end]);
		json_number(j, "value", r->value);
		json_text(j, "text", *r->text ? r->text : NULL);
		json_close(j, '}');
	} else {
		json_null(j, "command");
	}
	json_close(j, '}');
}

void sup_result_write(struct supervisor *s, int status)
{
	static const char *const engine[] = {
#define X(sym, text) text,
		ENGINES(X)
#undef X
	};
	struct json j;

	if (!s->result_fd)
		return;
	result_begin(&j, buf, sizeof(buf), s->c, end_word(s, s->end_status));
	json_number(&j, "status", (uint64_t)status);
	json_text(&j, "engine", engine[s->h->engine]);
	sup_rounds_result(s, &j);
	add_supervisor(s, &j);
	add_claims_of_roles(s, &j);
	add_claims_of_guest(s, &j);
	if (result_replace(s->result_fd, &j) < 0)
		sup_line(s, "--result=%s: cannot write to it: %m", s->c->result);
}
