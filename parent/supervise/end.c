/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why the guest ends, and with which exit status. Runs in the supervisor. A reason
 * from the guest (power-off, reboot, panic) counts only once its vCPU process has
 * ended. A reason from outside (a signal, a time limit, a ring fault) takes precedence.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/setup/foreign.h"
#include "parent/setup/notify.h"
#include "parent/supervise/consoles.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/end.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/hold.h"
#include "parent/supervise/limits.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/monitor.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/restart.h"
#include "parent/supervise/state.h"
#include "parent/supervise/steer.h"
#include "parent/supervise/stuck.h"
#include "parent/supervise/usage.h"

#define FOREGROUND_MS	 500  /* How often to check if the shell has put us into the foreground. */
#define ABANDON_MS	 5000 /* How long to wait for a dead blkd's last I/O. */
#define KERNEL_DIRECTORY 128  /* Longest directory of the kernel in a message, in bytes; a longer one is left out. */
#define SAID_MS		 200  /* How long a role's last line of standard error waits for the role's end. */

static void blame(struct supervisor *s)
{
	char text[LOG_LINE_MAX];
	bool starting = s->phase == PHASE_STARTING;

	sup_end_text(s->blamed, text, sizeof(text));
	sup_line(s, "%s: its process ended%s: %s%s", s->blamed->host->name,
		 starting ? " before it was ready" : "; ending the guest", text, sup_restart_text(s, s->blamed));
	sup_force(s, starting && s->starts == 1 ? EXIT_HOST : EXIT_ROLE_DIED);
}

/* The guest goes on without controld. */
static void control_ended(struct supervisor *s, struct sup_role *r)
{
	sup_control_close(s);
	r->ready = true; /* No start of the guest waits for it. */
	/* Nobody waits any more for what the clients asked. */
	for (unsigned i = 0; i < LATE_ANSWERS; i++)
		s->late[i].waits = false;
	if (!s->over && !sup_restart_later(s, r, false))
		sup_restart_gave_up(s, r);
}

void sup_role_ended(struct supervisor *s, struct sup_role *r)
{
	if (!sup_is_helper(s, r)) {
		sup_take_exit_status(s);
		if (s->blamed && !s->have_end && s->status < 0 && !sup_ended_well(s->blamed))
			blame(s);
		sup_begin_ending(s);
		return;
	}
	if (sup_is_control(r) && (s->starts > 1 || r->ready || s->phase != PHASE_STARTING)) {
		control_ended(s, r);
		return;
	}
	if (s->phase >= PHASE_ENDING || s->blamed)
		return;
	/* Drain all control channels first: a CTL_READY may still be queued on one that was not yet read. */
	for (unsigned i = 0; i < s->nroles && s->phase == PHASE_STARTING; i++)
		sup_role_ctl(s, &s->role[i]);
	/*
	 * A helper exits with status 0 when its front-end closes the connection. The
	 * supervisor may see that before the end of the vCPU process, which is the cause.
	 */
	if (s->phase == PHASE_RUNNING && sup_restart_later(s, r, sup_ended_well(r)))
		return;
	s->blamed = r;
	if (s->phase == PHASE_STARTING && !sup_ended_well(r))
		blame(s);
	else
		s->blame_at = now_ms() + (sup_ended_well(r) ? VCPU_END_MS : BLAME_MS);
}

void sup_power_button(struct supervisor *s, int status, unsigned grace_s)
{
	const struct ctl_msg button = { .type = CTL_POWER_BUTTON };

	if (s->stop_status || s->status >= 0 || s->phase != PHASE_RUNNING) {
		s->hurried |= s->stop_status || s->status >= 0;
		sup_force(s, s->stop_status ? s->stop_status : status);
		return;
	}
	sup_let_run(s);
	s->stop_status = status;
	s->button_until = now_ms() + (uint64_t)grace_s * 1000;
	notify_send(s->h->notify, "STOPPING=1\nSTATUS=Asked the guest to power off");
	sup_note(s, "asked the guest to power off within %u s; a second signal ends it at once", grace_s);
	if (s->monitor >= 0)
		(void)sup_command(s, QMP_POWERDOWN);
	else if (sup_vcpu(s)->ctl >= 0)
		(void)ctl_send(sup_vcpu(s)->ctl, &button);
}

static void kill_nics(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].host->role == ROLE_NETD)
			sup_kill(&s->role[i]);
}

static void kill_all(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && !sup_is_control(&s->role[i])) {
			sup_line(s, "%s: did not exit; killing it", s->role[i].host->name);
			sup_kill(&s->role[i]);
		}
}

/*
 * A helper's control channel closes only when its last I/O has completed, because
 * blkd's I/O ring holds the channel open. If it does not close, a disk of the host
 * hangs, or a compromised helper has passed its end of the channel to somebody else.
 * Stop waiting, and start nothing on that disk again.
 */
static void abandon_io(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];
		bool reboots = s->status < 0 && s->have_end && s->end == GUEST_REBOOT;
		char lock[LOG_LINE_MAX / 2];

		if (r->ctl < 0 || sup_is_control(r))
			continue;
		close(r->ctl);
		r->ctl = -1;
		sup_lock_text(s, r, lock, sizeof(lock));
		if (reboots || (*lock && !r->host->spawner.stuck))
			sup_line(s, "%s: its last I/O never completed%s%s", r->host->name,
				 reboots ? "; not restarting the guest" : "", lock);
		if (reboots)
			s->status = EXIT_ROLE_DIED;
	}
}

static bool due(uint64_t *deadline, uint64_t now)
{
	if (!*deadline || now < *deadline)
		return false;
	*deadline = 0;
	return true;
}

/*
 * --timeout also covers a guest that is about to reboot, since it may wait for the reader of its output. It does not
 * count the time for which the guest is paused.
 */
static bool may_time_out(const struct supervisor *s)
{
	return s->c->timeout_ms && s->status < 0 && !s->hold && (s->phase < PHASE_ENDING || sup_reboots(s));
}

static void sup_timed_out(struct supervisor *s)
{
	unsigned long long ms = s->c->timeout_ms;

	if (ms % 1000)
		sup_line(s, "still running after %llu.%03llu s (--timeout); stopped", ms / 1000, ms % 1000);
	else
		sup_line(s, "still running after %llu s (--timeout); stopped", ms / 1000);
}

void sup_deadlines(struct supervisor *s)
{
	uint64_t now = now_ms();

	if (may_time_out(s) && now >= s->began + s->held_ms + s->c->timeout_ms) {
		sup_timed_out(s);
		sup_force(s, EXIT_TIMEOUT);
	}
	if (due(&s->button_until, now)) {
		sup_line(s, "the guest did not power off in time; ending it%s",
			 s->button_said			  ? " (lguest-sep stop --timeout)"
			 : s->stop_status == EXIT_SIGTERM ? " (--stop-timeout)"
							  : "");
		sup_force(s, s->stop_status);
	}
	sup_hold_due(s, now);
	sup_steer_due(s, now);
	sup_reported_due(s, now);
	sup_usage_due(s, now);
	/* The guest has reported its own end, of which the helper's is a consequence. */
	if (due(&s->blame_at, now) && s->status < 0 && !(s->have_end && sup_ended_well(s->blamed)))
		blame(s);
	if (s->phase == PHASE_RUNNING && s->status < 0)
		sup_restart_due(s);
	if (due(&s->nics_stop_by, now))
		kill_nics(s);
	if (due(&s->stop_by, now))
		kill_all(s);
	sup_stuck_due(s);
	if (s->phase >= PHASE_ENDING && !s->let_go_at && sup_all_ended(s))
		s->let_go_at = now + ABANDON_MS;
	if (s->let_go_at && now >= s->let_go_at) {
		abandon_io(s);
		s->let_go_at = UINT64_MAX; /* Only once. */
	}
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].said_at && now >= s->role[i].said_at + SAID_MS)
			sup_let_out(s, &s->role[i]);
	(void)sup_ports_deadline(s, now);
	sup_join_lines(s, false);
}

/* How often to check ports that wait for a reader, once the guest was ended from outside. */
#define PORTS_STEP_MS 1000

static void sooner(int *ms, uint64_t deadline, uint64_t now)
{
	uint64_t left;

	if (!deadline)
		return;
	left = deadline > now ? deadline - now : 0;
	left = MIN(left, 3600000);
	if (*ms < 0 || (int)left < *ms)
		*ms = (int)left;
}

int sup_timeout_ms(const struct supervisor *s, uint64_t other)
{
	uint64_t now = now_ms();
	int ms = -1;

	if (may_time_out(s))
		sooner(&ms, s->began + s->held_ms + s->c->timeout_ms, now);
	sooner(&ms, other, now);
	sooner(&ms, s->button_until, now);
	sooner(&ms, sup_hold_deadline(s), now);
	sooner(&ms, sup_steer_deadline(s), now);
	sooner(&ms, sup_reported_deadline(s), now);
	sooner(&ms, sup_usage_deadline(s), now);
	sooner(&ms, s->blame_at, now);
	if (s->phase == PHASE_RUNNING && s->status < 0)
		sooner(&ms, sup_restart_deadline(s), now);
	sooner(&ms, s->nics_stop_by, now);
	sooner(&ms, s->stop_by, now);
	sooner(&ms, sup_stuck_deadline(s), now);
	if (s->phase < PHASE_DONE)
		sooner(&ms, s->let_go_at, now);
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].said_at)
			sooner(&ms, s->role[i].said_at + SAID_MS, now);
	if (s->phase >= PHASE_ENDING && s->phase < PHASE_DONE && s->status >= 0 && sup_ports_busy(s))
		sooner(&ms, now + PORTS_STEP_MS, now);
	sooner(&ms, sup_input_deadline(s, now), now);
	if (terminal_waits(&s->h->term))
		sooner(&ms, now + FOREGROUND_MS, now);
	/* After this deadline the lines wait only for buffer space, which POLLOUT reports. */
	if (s->lines_until > now)
		sooner(&ms, s->lines_until, now);
	return ms;
}

static bool may_reboot(const struct supervisor *s, int *status)
{
	*status = s->stop_status;
	if (s->stop_status)
		return false;
	*status = EXIT_REBOOTS;
	if (s->c->no_reboot)
		return false;
	if ((s->c->max_reboots_set || s->h->engine == ENGINE_LGUEST) && s->starts > s->c->max_reboots)
		return false;
	return s->h->engine != ENGINE_LGUEST || s->starts < s->h->nengine;
}

/* A guest can print the text of a panic as it likes: believe it only if the guest resets within this time. */
#define PANIC_RESET_MS 10000

static const char *claimed_panic(const struct supervisor *s)
{
	return s->panic.seen ? s->panic.text : s->panic_serial.seen ? s->panic_serial.text : NULL;
}

static bool reset_after_panic(const struct supervisor *s)
{
	return claimed_panic(s) && s->ended_at <= s->panic_at + PANIC_RESET_MS;
}

bool sup_reboots(const struct supervisor *s)
{
	int status;

	return s->status < 0 && s->have_end && s->end == GUEST_REBOOT && !reset_after_panic(s) &&
	       may_reboot(s, &status);
}

/*
 * The supervisor holds the connection to a foreign back-end (--vhost-user-blk, --vhost-user-fs) open, so the back-end
 * keeps the state that the first QEMU set up. A second QEMU could not set it up again.
 */
static bool tied_to_qemu(const struct supervisor *s)
{
	for (unsigned d = 0; d < s->c->ndevices && s->h->engine == ENGINE_QEMU; d++)
		if (device_is_foreign(s->c, d))
			return true;
	return false;
}

/* After this many silent resets in a row, assume a panic before the console came up. */
#define MUTE_STARTS 3

static int conclude_reboot(struct supervisor *s)
{
	int status;

	/* A kernel that panics before its console driver is loaded would be started again for ever. */
	s->mute_starts = s->heard ? 0 : s->mute_starts + 1;
	if (s->mute_starts >= MUTE_STARTS && !s->stop_status && !s->c->no_reboot && !s->c->max_reboots_set) {
		sup_line(
			s,
			"the guest reset %u times in a row without any output: its kernel probably panics before it has a console; check its initrd and memory size with console=ttyS0, or give --max-reboots=N if it is silent on purpose",
			MUTE_STARTS);
		return EXIT_GUEST_PANIC;
	}
	if (may_reboot(s, &status)) {
		if (tied_to_qemu(s)) {
			sup_line(
				s,
				"the guest rebooted; ending it, because with the qemu engine --vhost-user-blk and --vhost-user-fs work for one start only");
			return EXIT_REBOOTS;
		}
		sup_verbose(s, "the guest reboots (%u)", s->starts);
		return -1;
	}
	if (s->stop_status)
		sup_line(s, "the guest rebooted instead of powering off; not starting it again");
	else if (!s->c->no_reboot && s->c->max_reboots == 0)
		sup_line(s, "the guest wants to reboot again; --max-reboots=0 does not allow it");
	else if (!s->c->no_reboot)
		sup_line(s, "the guest rebooted %u time%s, which is all that --max-reboots allows", s->starts - 1,
			 s->starts == 2 ? "" : "s");
	else
		sup_line(s, "the guest rebooted; ending it (--no-reboot)");
	return status;
}

static void report_claim(struct supervisor *s)
{
	const char *text = claimed_panic(s);

	if (text)
		sup_line(s, "the guest printed: Kernel panic - not syncing: %s", text);
}

/* The engine reported a panic. The text that the guest printed about it is a claim, on a line of its own. */
static int conclude_panic(struct supervisor *s)
{
	report_claim(s);
	sup_line(s, "the guest's kernel panicked: %s", *s->end_text ? s->end_text : "reported through pvpanic");
	return EXIT_GUEST_PANIC;
}

/* Returns the limit of the host that the end @text of a process probably names, or "". */
static const char *limit_named(const char *text)
{
	if (strstr(text, "Resource temporarily unavailable"))
		return spawn_limit_text(EAGAIN);
	return strstr(text, "Cannot allocate memory") ? spawn_limit_text(ENOMEM) : "";
}

/* The vCPU process ended, and neither it nor QEMU reported why the guest ended. */
static int conclude_death(struct supervisor *s)
{
	struct sup_role *r = sup_vcpu(s);
	char text[LOG_LINE_MAX];
	const char *limit = "";
	bool never_ran = false;

	sup_end_text(r, text, sizeof(text));
	/* A guest that has run may have written that text itself. */
	if (s->h->engine == ENGINE_QEMU && !s->heard) {
		limit = limit_named(text);
		/* QEMU exits with status 1 if it cannot load the kernel or set up a device. */
		never_ran = *limit || (WIFEXITED((int)r->end.value) && WEXITSTATUS((int)r->end.value) == 1);
	}
	sup_line(s, "vcpu: its process ended%s: %s%s", never_ran ? " before the guest ran" : "", text, limit);
	return never_ran && s->starts == 1 ? EXIT_HOST : EXIT_ROLE_DIED;
}

/* Always report a seccomp kill, even after the guest has ended. */
static void report_filtered(struct supervisor *s)
{
	char text[LOG_LINE_MAX];

	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];
		int status = (int)r->end.value;

		if (r->end_told || r->end.type != SPAWN_ENDED || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			continue;
		sup_end_text(r, text, sizeof(text));
		sup_line(s, "%s: its process %s", r->host->name, text);
	}
}

/*
 * The vCPU process knows only the file name of the kernel, and its messages begin with it.
 * Writes the directory (with its slash) to @path if s->end_text begins with that file name,
 * otherwise "". Returns @path.
 */
static const char *kernel_directory(const struct supervisor *s, char path[KERNEL_DIRECTORY])
{
	const char *slash = strrchr(s->c->kernel, '/');
	size_t len = slash ? (size_t)(slash + 1 - s->c->kernel) : 0;
	char name[sizeof(((struct vcpu_config *)NULL)->kernel_name)];

	*path = '\0';
	fmt_line(name, sizeof(name), "%s", s->c->kernel + len);
	make_printable(name, strlen(name));
	if (len >= KERNEL_DIRECTORY || strncmp(s->end_text, name, strlen(name)) != 0)
		return path;
	memcpy(path, s->c->kernel, len);
	path[len] = '\0';
	make_printable(path, len);
	return path;
}

/* The guest ended for a reason of its own. Returns the exit status, or -1 to start the guest again. */
static int conclude_guest(struct supervisor *s)
{
	char path[KERNEL_DIRECTORY];

	switch (s->end) {
	case GUEST_POWEROFF:
		report_claim(s);
		/* A guest of the lguest engine has no power button; its vCPU process reports a power-off instead. */
		if (s->stop_status && s->h->engine == ENGINE_LGUEST)
			return s->stop_status;
		sup_verbose(s, "the guest powered off");
		return EXIT_POWEROFF;
	case GUEST_REBOOT:
		report_claim(s);
		if (reset_after_panic(s)) {
			sup_line(s, "the guest reset after a kernel panic");
			return EXIT_GUEST_PANIC;
		}
		return conclude_reboot(s);
	case GUEST_REPORTED:
		report_claim(s);
		return sup_conclude_reported(s);
	case GUEST_PANIC:
		return conclude_panic(s);
	case GUEST_CRASH:
		report_claim(s);
		sup_line(s, "the guest crashed%s%s", *s->end_text ? ": " : "", s->end_text);
		return EXIT_GUEST_PANIC;
	case GUEST_LOAD_FAILED:
	case GUEST_ENGINE_FAILED:
	case GUEST_HOST_FAILED:
	default:
		/* After CTL_RUNNING the text may come from the guest: name the role that sent it. */
		sup_line(s, "%s%s%s", s->guest_running ? "vcpu: " : "",
			 s->guest_running ? "" : kernel_directory(s, path),
			 *s->end_text ? s->end_text : "the engine failed");
		return s->starts == 1 || s->end == GUEST_LOAD_FAILED || s->end == GUEST_HOST_FAILED ? EXIT_HOST
												    : EXIT_ROLE_DIED;
	}
}

int sup_conclude(struct supervisor *s)
{
	/* Not at each reboot: a guest can reboot without limit. */
	bool later = sup_reboots(s);
	int status;

	if (s->c->stats && !later)
		sup_print_stats(s);
	if (s->status < 0 && !s->have_end)
		sup_limits_check(s);
	if (s->status < 0 && !s->have_end)
		s->status = conclude_death(s);
	report_filtered(s);
	if (s->status >= 0) {
		report_claim(s);
		return s->status;
	}
	status = conclude_guest(s);
	if (s->c->stats && later && status >= 0)
		sup_print_stats(s);
	return status;
}
