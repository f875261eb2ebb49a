/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rounds of lguest-sep run: see rounds.h. Runs in the supervisor; never waits. */
#include "common/clear.h"
#include "common/fmt.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/rounds.h"
#include "parent/supervise/run_result.h"

/* Most failed rounds that have a line of their own without --verbose. */
#define ROUND_LINES 10

static struct {
	bool over;	   /* CTL_ROUND was received, and CTL_NEXT_ROUND not sent yet. */
	enum reset_on why; /* Its value. */
	uint64_t done;	   /* Rounds that were judged. */
	uint64_t failed;   /* Those of them whose status was not 0. */
	uint64_t first;	   /* Number of the first one that failed, from 1. */
	int first_status;  /* Its status; 0: none failed. */
} rounds;

void sup_rounds_prepare(struct supervisor *s)
{
	(void)s;
	clear_object(&rounds, sizeof(rounds));
}

void sup_round_over(struct supervisor *s, uint32_t why)
{
	if (!s->c->run.rounds || rounds.over || sup_rounds_done(s)) {
		sup_line(s, "vcpu: reported the end of a round that does not run; killing it");
		sup_kill(sup_vcpu(s));
		return;
	}
	rounds.over = true;
	rounds.why = (enum reset_on)why;
}

/* Returns the round's status, and writes who reports it, or the reason, to @text. */
static int judge(struct supervisor *s, char *text, size_t size)
{
	static const char *const names[RESET_ONS] = RESET_ON_NAMES;

	/* Our init asks for the reset when the supervisor has confirmed its report. */
	if (rounds.why == RESET_ON_POWEROFF || (rounds.why == RESET_ONS && sup_run_result(s))) {
		char reason[LOG_LINE_MAX / 2];
		int status = sup_run_claim(s, reason, sizeof(reason));

		fmt_line(text, size, *reason ? "because %s" : "as the guest reports", reason);
		return status;
	}
	if (rounds.why == RESET_ON_TIMEOUT) {
		fmt_line(text, size, "because it took longer than --reset-on=timeout allows");
		return EXIT_RUN_TIMEOUT;
	}
	if (rounds.why < RESET_ONS)
		fmt_line(text, size, "because the guest ended before the command did: %s", names[rounds.why]);
	else
		fmt_line(text, size, "because the guest was taken back before the command had ended");
	return EXIT_RUN_FAILED;
}

static void judge_round(struct supervisor *s)
{
	char text[LOG_LINE_MAX];
	int status = judge(s, text, sizeof(text));
	unsigned long long number = ++rounds.done;

	if (!status) {
		sup_verbose(s, "run: round %llu: status 0, %s", number, text);
		return;
	}
	if (!rounds.failed++) {
		rounds.first = number;
		rounds.first_status = status;
	}
	if (rounds.failed <= ROUND_LINES)
		sup_line(s, "run: round %llu: status %d, %s", number, status, text);
	else
		sup_verbose(s, "run: round %llu: status %d, %s", number, status, text);
}

void sup_rounds_turn(struct supervisor *s)
{
	static const struct ctl_msg go = { .type = CTL_NEXT_ROUND };

	if (!rounds.over || s->phase >= PHASE_ENDING || s->status >= 0 || s->have_end || !sup_ports_drained(s))
		return;
	judge_round(s);
	/* The last report stays, for --result. */
	if (!sup_rounds_done(s))
		sup_ports_next_round(s);
	rounds.over = false;
	if (sup_vcpu(s)->ctl >= 0 && ctl_send(sup_vcpu(s)->ctl, &go) == 0)
		return;
	sup_line(s, "vcpu: takes no messages; ending the guest");
	sup_force(s, EXIT_ROLE_DIED);
}

bool sup_rounds_done(const struct supervisor *s)
{
	return rounds.done > s->c->resets;
}

int sup_rounds_status(struct supervisor *s, int status)
{
	unsigned long long done = rounds.done, all = s->c->resets + 1ull;
	int last = status == EXIT_POWEROFF && sup_rounds_done(s) ? 0 : sup_run_status(s, status);

	if (done < all) {
		sup_line(s, "run: the guest ended in round %llu of %llu", done + 1, all);
		/* That the command succeeded once does not mean that it would each time. */
		if (!last)
			last = EXIT_RUN_FAILED;
	}
	if (rounds.failed)
		sup_line(s, "run: %llu of %llu rounds failed; the first of them was round %llu, with status %d",
			 (unsigned long long)rounds.failed, done, (unsigned long long)rounds.first,
			 rounds.first_status);
	else
		sup_verbose(s, "run: %llu rounds, none failed", done);
	/* A signal to us ended all rounds. */
	return status >= EXIT_SIGHUP || !rounds.failed ? last : rounds.first_status;
}

void sup_rounds_result(const struct supervisor *s, struct json *j)
{
	if (!s->c->run.rounds)
		return;
	json_open(j, "rounds", '{');
	json_number(j, "done", rounds.done);
	json_number(j, "failed", rounds.failed);
	json_number(j, "first_failed", rounds.first);
	json_number(j, "first_status", (uint64_t)rounds.first_status);
	json_close(j, '}');
}
