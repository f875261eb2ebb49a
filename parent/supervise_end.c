// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Why the guest ends, and with which exit status. Runs in the supervisor. The
 * guest's own word (power-off, reboot, panic) counts only once its vCPU process
 * has ended; what is decided from outside (signals, time, faults) goes before it.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

#define STOP_GRACE_MS	5000 /* for blkd, to finish what it has begun */
#define NIC_GRACE_MS	500  /* for netd, which has nothing to finish and may wait for a front-end */
#define BUTTON_GRACE_MS 5000 /* for the guest, after its power button */
#define LET_GO_MS	5000 /* for operations of a disk's process that has ended */
#define SAID_MS		200  /* that a line of standard error waits for the end of its process */

bool sup_all_ended(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live)
			return false;
	return true;
}

static bool is_helper(const struct supervisor *s, const struct sup_role *r)
{
	return r != &s->role[s->nroles - 1];
}

void sup_end_text(struct sup_role *r, char *text, size_t size)
{
	size_t n = spawn_end_text(&r->end, text, size);

	if (r->said_at)
		fmt_line(text + n, size - n, ": %s", r->said);
	r->said_at = 0;
	r->end_told = true;
}

/* The vCPU process has ended, or never ran: the others are to follow. */
static void begin_ending(struct supervisor *s)
{
	const struct ctl_msg stop = { .type = CTL_STOP };

	if (s->phase >= PHASE_ENDING)
		return;
	s->phase = PHASE_ENDING;
	s->stop_by = now_ms() + STOP_GRACE_MS;
	s->nics_stop_by = now_ms() + NIC_GRACE_MS;
	s->blame_at = s->button_until = 0;
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];

		if (!r->live)
			continue;
		if (!is_helper(s, r) || !r->ready)
			spawner_kill_role(&r->host->spawner);
		else if (r->ctl < 0 || ctl_send(r->ctl, &stop) < 0)
			spawner_kill_role(&r->host->spawner);
	}
}

void sup_force(struct supervisor *s, int status)
{
	if (s->status < 0)
		s->status = status;
	if (sup_vcpu(s)->live)
		spawner_kill_role(&sup_vcpu(s)->host->spawner);
	else
		begin_ending(s);
}

void sup_guest_end(struct supervisor *s, enum guest_end end, const char *text)
{
	/* A panic is followed by the reset that it asked for. */
	if (s->have_end && s->end == GUEST_PANIC)
		return;
	s->have_end = true;
	s->end = end;
	fmt_line(s->end_text, sizeof(s->end_text), "%s", text);
}

static bool ended_well(const struct sup_role *r)
{
	return WIFEXITED((int)r->end.value) && WEXITSTATUS((int)r->end.value) == 0;
}

static void blame(struct supervisor *s)
{
	char text[LOG_LINE_MAX];
	bool starting = s->phase == PHASE_STARTING;

	sup_end_text(s->blamed, text, sizeof(text));
	sup_line(s, "%s: its process ended%s: %s", s->blamed->host->name,
		 starting ? " before it was ready" : "; the guest is ended with it", text);
	sup_force(s, starting && s->starts == 1 ? EXIT_HOST : EXIT_ROLE_DIED);
}

void sup_role_ended(struct supervisor *s, struct sup_role *r)
{
	if (!is_helper(s, r)) {
		if (s->blamed && !s->have_end && s->status < 0 && !ended_well(s->blamed))
			blame(s);
		begin_ending(s);
		return;
	}
	if (s->phase >= PHASE_ENDING || s->blamed)
		return;
	/* Whoever was ready by then has said so, whosever channel is looked at first. */
	for (unsigned i = 0; i < s->nroles && s->phase == PHASE_STARTING; i++)
		sup_role_ctl(s, &s->role[i]);
	/*
	 * A helper ends well when its front-end goes, and its end may be seen
	 * before that of the vCPU process, which then says why.
	 */
	if (s->phase == PHASE_RUNNING && sup_restart_later(s, r, ended_well(r)))
		return;
	s->blamed = r;
	if (s->phase == PHASE_STARTING && !ended_well(r))
		blame(s);
	else
		s->blame_at = now_ms() + BLAME_MS;
}

void sup_power_button(struct supervisor *s, int status)
{
	const struct ctl_msg button = { .type = CTL_POWER_BUTTON };

	if (s->phase >= PHASE_ENDING || s->status >= 0 || s->phase == PHASE_STARTING) {
		sup_force(s, status);
		return;
	}
	s->status = status;
	s->button_until = now_ms() + BUTTON_GRACE_MS;
	sup_line(s, "the guest is asked to power off");
	if (s->monitor >= 0)
		(void)sup_command(s, QMP_POWERDOWN);
	else if (sup_vcpu(s)->ctl >= 0)
		(void)ctl_send(sup_vcpu(s)->ctl, &button);
}

static void kill_nics(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].host->role == ROLE_NETD)
			spawner_kill_role(&s->role[i].host->spawner);
}

static void kill_all(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live) {
			sup_line(s, "%s: does not end; it is killed", s->role[i].host->name);
			spawner_kill_role(&s->role[i].host->spawner);
		}
}

/*
 * The end of a helper's control channel is that of its last operation. One that does
 * not come is a disk of the host's that hangs, or a taken helper that gave its end
 * away: nothing is started on that disk again.
 */
static void let_go(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];

		if (r->ctl < 0)
			continue;
		close(r->ctl);
		r->ctl = -1;
		if (s->status < 0 && s->have_end && s->end == GUEST_REBOOT) {
			sup_line(s, "%s: its last operation does not end; nor is the guest started again",
				 r->host->name);
			s->status = EXIT_ROLE_DIED;
		}
	}
}

static bool due(uint64_t *deadline, uint64_t now)
{
	if (!*deadline || now < *deadline)
		return false;
	*deadline = 0;
	return true;
}

void sup_deadlines(struct supervisor *s)
{
	uint64_t now = now_ms();

	if (s->c->timeout_s && s->status < 0 && s->phase < PHASE_ENDING &&
	    now >= s->began + (uint64_t)s->c->timeout_s * 1000) {
		sup_line(s, "--timeout: %u s are over; the guest is ended", s->c->timeout_s);
		sup_force(s, EXIT_TIMEOUT);
	}
	if (due(&s->button_until, now)) {
		sup_line(s, "the guest did not power off in time; it is ended");
		sup_force(s, s->status);
	}
	if (due(&s->blame_at, now) && s->status < 0)
		blame(s);
	if (s->phase == PHASE_RUNNING && s->status < 0)
		sup_restart_due(s);
	if (due(&s->nics_stop_by, now))
		kill_nics(s);
	if (due(&s->stop_by, now))
		kill_all(s);
	if (s->phase >= PHASE_ENDING && !s->let_go_at && sup_all_ended(s))
		s->let_go_at = now + LET_GO_MS;
	if (s->let_go_at && now >= s->let_go_at) {
		let_go(s);
		s->let_go_at = UINT64_MAX; /* once */
	}
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].said_at && now >= s->role[i].said_at + SAID_MS)
			sup_let_out(s, &s->role[i]);
	sup_join_lines(s, false);
}

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

int sup_timeout_ms(const struct supervisor *s)
{
	uint64_t now = now_ms();
	int ms = -1;

	if (s->c->timeout_s && s->status < 0 && s->phase < PHASE_ENDING)
		sooner(&ms, s->began + (uint64_t)s->c->timeout_s * 1000, now);
	sooner(&ms, s->button_until, now);
	sooner(&ms, s->blame_at, now);
	if (s->phase == PHASE_RUNNING && s->status < 0)
		sooner(&ms, sup_restart_deadline(s), now);
	sooner(&ms, s->nics_stop_by, now);
	sooner(&ms, s->stop_by, now);
	if (s->phase < PHASE_DONE)
		sooner(&ms, s->let_go_at, now);
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].said_at)
			sooner(&ms, s->role[i].said_at + SAID_MS, now);
	/* Past it they wait for room, and that for the terminal. */
	if (s->lines_until > now)
		sooner(&ms, s->lines_until, now);
	return ms;
}

static bool may_reboot(const struct supervisor *s, int *status)
{
	*status = EXIT_POWEROFF;
	if (s->c->no_reboot)
		return false;
	*status = EXIT_REBOOTS;
	if ((s->c->max_reboots_set || s->h->engine == ENGINE_LGUEST) && s->starts > s->c->max_reboots)
		return false;
	return s->h->engine != ENGINE_LGUEST || s->starts < s->h->nengine;
}

/* A back-end keeps what the last QEMU told it for as long as the connection lives, which is ours to keep. */
static bool tied_to_qemu(const struct supervisor *s)
{
	for (unsigned d = 0; d < s->c->ndevices && s->h->engine == ENGINE_QEMU; d++)
		if (device_is_foreign(s->c, d))
			return true;
	return false;
}

/* So many starts that end in a reset, with no output at all, are a panic that nobody sees. */
#define MUTE_STARTS 3

static int conclude_reboot(struct supervisor *s)
{
	int status;

	/* A kernel that panics before its console's driver is there would start for ever. */
	if (!s->heard && s->starts == MUTE_STARTS && !s->c->no_reboot && !s->c->max_reboots_set) {
		sup_line(
			s,
			"the guest reset %u times without a word: its kernel panics before it has a console; look at its initrd and memory with console=ttyS0, or give --max-reboots=N if it is mute on purpose",
			MUTE_STARTS);
		return EXIT_GUEST_PANIC;
	}
	if (may_reboot(s, &status)) {
		if (tied_to_qemu(s)) {
			sup_line(
				s,
				"the guest rebooted; it is ended, since with the qemu engine --vhost-user-blk lasts for one start");
			return EXIT_REBOOTS;
		}
		sup_verbose(s, "the guest reboots (%u)", s->starts);
		return -1;
	}
	if (status == EXIT_REBOOTS)
		sup_line(s, "the guest rebooted %u time%s, which is all that --max-reboots allows", s->starts - 1,
			 s->starts == 2 ? "" : "s");
	else
		sup_line(s, "the guest rebooted; it is ended (--no-reboot)");
	return status;
}

static int conclude_panic(struct supervisor *s, const char *text)
{
	sup_line(s, "the guest's kernel panicked%s%s", *text ? ": " : "", text);
	return EXIT_GUEST_PANIC;
}

/* The vCPU process ended without a word of the guest. */
static int conclude_death(struct supervisor *s)
{
	struct sup_role *r = sup_vcpu(s);
	char text[LOG_LINE_MAX];
	/* QEMU ends by itself with 1 where it cannot load or set up something. */
	bool never_ran = s->h->engine == ENGINE_QEMU && !s->heard && WIFEXITED((int)r->end.value) &&
			 WEXITSTATUS((int)r->end.value) == 1;

	sup_end_text(r, text, sizeof(text));
	sup_line(s, "vcpu: its process ended%s: %s", never_ran ? " before the guest ran" : "", text);
	return never_ran && s->starts == 1 ? EXIT_HOST : EXIT_ROLE_DIED;
}

/* A filter is never hit in silence, even if the guest had ended by then. */
static void say_filtered(struct supervisor *s)
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

int sup_conclude(struct supervisor *s)
{
	const char *panic = s->panic.seen ? s->panic.text : s->panic_serial.text;
	bool panicked = s->panic.seen || s->panic_serial.seen;

	if (s->c->stats)
		sup_print_stats(s);
	if (s->status < 0 && !s->have_end)
		s->status = conclude_death(s);
	say_filtered(s);
	if (s->status >= 0)
		return s->status;
	switch (s->end) {
	case GUEST_POWEROFF:
	case GUEST_REBOOT:
		if (panicked)
			return conclude_panic(s, panic);
		if (s->end == GUEST_REBOOT)
			return conclude_reboot(s);
		sup_verbose(s, "the guest powered off");
		return EXIT_POWEROFF;
	case GUEST_PANIC:
		return conclude_panic(s, panicked ? panic : s->end_text);
	case GUEST_CRASH:
		if (panicked)
			return conclude_panic(s, panic);
		sup_line(s, "the guest crashed%s%s", *s->end_text ? ": " : "", s->end_text);
		return EXIT_GUEST_PANIC;
	case GUEST_LOAD_FAILED:
	case GUEST_ENGINE_FAILED:
	default:
		/* Once the guest has run it can be the guest that speaks: not in our name. */
		sup_line(s, "%s%s", s->ran ? "vcpu: " : "", *s->end_text ? s->end_text : "the engine failed");
		return s->starts == 1 || s->end == GUEST_LOAD_FAILED ? EXIT_HOST : EXIT_ROLE_DIED;
	}
}
