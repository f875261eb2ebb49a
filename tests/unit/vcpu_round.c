/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with rounds a reset waits for the supervisor. Until then the guest stands still, what it has offered is sent as far
 * as there is room, and nothing is sent later; input of the round is dropped. The last round is judged before the guest
 * ends, and only its first checkpoint counts.
 */
#include "tests/lib/ports.h"
#include "tests/unit/vcpu_save_rig.h"
#include "vcpu/kvm/reset_on.h"
#include "vcpu/kvm/round.h"

#define RX(port) (PORTS_FIRST + 2 * ((port)-1))
#define TX(port) (RX(port) + 1)

static struct ports_rig r;
static int supervisor; /* The other end of VFD_CTL */
static pthread_t thread;
static uint32_t reported; /* Value of the last CTL_ROUND */
static unsigned nreported;

/* Wait for a round's end. */
static void await_report(void)
{
	struct ctl_msg m;

	assert_int_equal(recv(supervisor, &m, sizeof(m), 0), sizeof(m));
	assert_int_equal(m.type, CTL_ROUND);
	reported = m.value;
	nreported++;
}

static void *judge_one(void *meanwhile)
{
	await_report();
	pthread_mutex_lock(&k.lock);
	assert_true(k.checkpoint.round_over);
	if (meanwhile)
		((void (*)(void))meanwhile)();
	kvm_round_next(&k);
	pthread_mutex_unlock(&k.lock);
	return NULL;
}

static void begin_judging(void (*meanwhile)(void))
{
	assert_int_equal(pthread_create(&thread, NULL, judge_one, (void *)meanwhile), 0);
}

static void end_judging(void)
{
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- requests ---- */

static int start(void **state)
{
	reset_options(state);
	config.checkpoint = config.rounds = true;
	config.resets = 1;
	config.reset_on = 1u << RESET_ON_PANIC;
	assert_int_equal(new_machine(), 0);
	k.devices.conio.gone = true;
	nreported = 0;
	supervisor = rig_supervisor();
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_true(k.checkpoint.taken);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(supervisor);
	close(VFD_CTL);
	return 0;
}

static void meanwhile_nothing_is_taken_back(void)
{
	assert_int_equal(held.regs.rip, 9);
	assert_int_equal(vm.stats.resets, 0);
}

static void a_reset_waits_and_the_last_round_is_judged(void **state)
{
	(void)state;
	held.regs.rip = 9;
	assert_true(reset_on_end(&k, GUEST_PANIC));
	begin_judging(meanwhile_nothing_is_taken_back);
	kvm_checkpoint_meet(&k);
	end_judging();
	assert_int_equal(reported, RESET_ON_PANIC);
	assert_int_equal(held.regs.rip, 0);
	assert_int_equal(vm.stats.resets, 1);
	/* The reason of an earlier round is forgotten. */
	kvm_checkpoint_ask(&k, true, true);
	assert_false(k.ended);
	begin_judging(NULL);
	assert_true(kvm_checkpoint_meet(&k));
	end_judging();
	assert_int_equal(reported, RESET_ONS);
	assert_int_equal(nreported, 2);
	assert_int_equal(vm.end, GUEST_POWEROFF);
	assert_int_equal(vm.stats.resets, 1);
	assert_int_equal(k.checkpoint.instead[RESET_ON_PANIC], 1);
}

static void only_the_first_checkpoint_counts(void **state)
{
	(void)state;
	kvm_checkpoint_ask(&k, false, true);
	assert_false(kvm_checkpoint_wanted(&k));
	kvm_checkpoint_ask(&k, false, false);
	assert_false(kvm_checkpoint_wanted(&k));
	config.rounds = false;
	kvm_checkpoint_ask(&k, false, true);
	assert_true(kvm_checkpoint_wanted(&k));
}

static void a_supervisor_that_takes_no_messages(void **state)
{
	(void)state;
	close(supervisor);
	kvm_checkpoint_ask(&k, true, true);
	assert_true(kvm_checkpoint_meet(&k));
	assert_int_equal(vm.end, GUEST_ENGINE_FAILED);
	assert_int_equal(vm.stats.resets, 0);
}

/* ---- ports ---- */

static int start_ports(void **state)
{
	reset_options(state);
	memset(&k, 0, sizeof(k));
	pthread_mutex_init(&k.lock, NULL);
	supervisor = rig_supervisor();
	return rig_open(&r) ? 0 : -1;
}

static int stop_ports(void **state)
{
	rig_close(&r);
	return stop(state);
}

static void offer_text(unsigned i, const char *text)
{
	struct vring_avail *a = rig_avail(&r, TX(i));
	unsigned slot = a->idx % RIG_SIZE;

	memcpy(r.ram + rig_buffer(TX(i), slot), text, strlen(text));
	*(rig_desc(&r, TX(i)) + slot) =
		(struct vring_desc){ .addr = rig_buffer(TX(i), slot), .len = (uint32_t)strlen(text) };
	a->ring[slot] = (uint16_t)slot;
	a->idx++;
}

static bool heard(unsigned i, const char *text)
{
	char got[64] = "";

	(void)!recv(r.far[i - 1], got, sizeof(got) - 1, 0);
	return !strcmp(got, text);
}

static void round_over(void (*meanwhile)(void))
{
	k.devices.ports = r.p;
	begin_judging(meanwhile);
	pthread_mutex_lock(&k.lock);
	assert_true(kvm_round_over(&k));
	pthread_mutex_unlock(&k.lock);
	end_judging();
	r.p = k.devices.ports;
}

static void meanwhile_nothing_is_sent(void)
{
	struct ports *p = &k.devices.ports;

	assert_true(heard(1, "before"));
	offer_text(1, "after");
	ports_kick(p, TX(1));
	ports_event(p, 0, EPOLLOUT);
	assert_false(ports_work(p));
	assert_true(heard(1, ""));
}

static void output_belongs_to_one_round(void **state)
{
	(void)state;
	/* Its kick has not been seen yet. */
	offer_text(1, "before");
	round_over(meanwhile_nothing_is_sent);
	assert_true(heard(1, ""));
	/* The reset would take this back; without it the port works. */
	ports_kick(&r.p, TX(1));
	assert_true(heard(1, "after"));
}

static void meanwhile_the_supervisor_makes_room(void)
{
	static uint8_t got[1 << 16];
	const struct port *p = &k.devices.ports.port[1];

	assert_false(p->blocked || p->again || (p->watched & EPOLLOUT));
	while (recv(r.far[0], got, sizeof(got), 0) > 0)
		;
	ports_event(&k.devices.ports, 0, EPOLLOUT);
	assert_int_equal(recv(r.far[0], got, 1, 0), -1);
}

static void what_finds_no_room_is_not_sent_later(void **state)
{
	struct vring_desc *d = rig_desc(&r, TX(1));
	struct vring_avail *a = rig_avail(&r, TX(1));
	int small = 4096;

	(void)state;
	assert_int_equal(setsockopt(VFD_PORT0, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	d[0] = (struct vring_desc){ .addr = 0x80000, .len = 0x80000 };
	a->idx = 1;
	round_over(meanwhile_the_supervisor_makes_room);
}

static void meanwhile_the_supervisor_sends(void)
{
	assert_int_equal(send(r.far[0], "abc", 3, 0), 3);
	assert_int_equal(send(r.far[1], "abc", 3, 0), 3);
}

static void input_belongs_to_one_round(void **state)
{
	(void)state;
	r.p.port[1].guest_open = r.p.port[2].guest_open = true;
	/* The guest has room for none of this, so the device keeps it. */
	assert_int_equal(send(r.far[0], "xyz", 3, 0), 3);
	ports_event(&r.p, 0, EPOLLIN);
	assert_int_equal(r.p.port[1].in_len, 3);
	round_over(meanwhile_the_supervisor_sends);
	for (unsigned i = 1; i <= 2; i++)
		rig_offer(&r, RX(i), 0, 16, true);
	for (unsigned n = 0; n < 10 && rig_events(&r); n++)
		;
	assert_int_equal(rig_used(&r, RX(1))->idx, 0);
	assert_int_equal(rig_used(&r, RX(2))->idx, 0);
	/* That of the next round arrives. */
	assert_int_equal(send(r.far[0], "n", 1, 0), 1);
	ports_event(&r.p, 0, EPOLLIN);
	assert_int_equal(rig_used(&r, RX(1))->idx, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reset_waits_and_the_last_round_is_judged, start, stop),
		cmocka_unit_test_setup_teardown(only_the_first_checkpoint_counts, start, stop),
		cmocka_unit_test_setup_teardown(a_supervisor_that_takes_no_messages, start, stop),
		cmocka_unit_test_setup_teardown(output_belongs_to_one_round, start_ports, stop_ports),
		cmocka_unit_test_setup_teardown(what_finds_no_room_is_not_sent_later, start_ports, stop_ports),
		cmocka_unit_test_setup_teardown(input_belongs_to_one_round, start_ports, stop_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
