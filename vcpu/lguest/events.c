/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lguest engine's second thread: turns call eventfds of netd and blkd into interrupts,
 * delivers console input, and receives messages of the supervisor. It never runs the guest.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "policy/policies.h"
#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/events.h"
#include "vcpu/lguest/flag.h"
#include "vcpu/lguest/lguest.h"
#include "vcpu/lguest/wait.h"
#include "vcpu/vm.h"

#define STACK_SIZE (128 * 1024)

void lguest_send_stats(struct lguest *lg)
{
	struct ctl_msg m = { .type = CTL_STATS, .stats = lg->vm->stats };

	ctl_send(VFD_CTL, &m);
}

/* Report the end of the guest and exit. Both threads end, so no guest instruction runs after this. */
static void leave(struct lguest *lg, enum guest_end why, const char *text)
{
	lguest_let_go();
	conio_flush(&lg->devices.conio);
	lguest_send_stats(lg);
	ctl_send_text(VFD_CTL, CTL_GUEST_END, why, text);
	_exit(0);
}

static void supervisor_says(struct lguest *lg)
{
	struct ctl_msg m;
	int got = ctl_recv(VFD_CTL, &m);

	if (got < 0)
		_exit(1);
	if (got == 0)
		return;
	if (m.type == CTL_GET_STATS)
		lguest_send_stats(lg);
	else if (m.type == CTL_POWER_BUTTON)
		/* lguest cannot ask its guest to power off. */
		leave(lg, GUEST_POWEROFF, "stopped; an lguest guest has no power button");
	else if (m.type == CTL_WINDOW_SIZE)
		devices_resize(&lg->devices, m.value);
	else if (m.type == CTL_STOP)
		leave(lg, GUEST_POWEROFF, "stopped by the supervisor");
}

/* True if @fd is a call eventfd. It is watched edge-triggered, so it need not be read. */
static bool is_call(int fd)
{
	return fd >= VFD_QCALL0 && fd < VFD_QCALL0 + MAX_DEVICES * MAX_QUEUES;
}

static void call(struct lguest *lg, unsigned n)
{
	unsigned first = lg->devices.n - lg->vm->c->ndevices;
	unsigned i = n / MAX_QUEUES, q = n % MAX_QUEUES;

	lg->vm->stats.calls++;
	if (i < lg->vm->c->ndevices)
		vpci_interrupt(&lg->devices.dev[first + i].v, q);
}

/* Deliver pending input if the console's driver is ready. Returns how long epoll may sleep, at most @timeout. */
static int input_due(struct lguest *lg, int timeout)
{
	int wait;

	if (!lg->devices.in_len)
		return timeout;
	wait = console_input_wait(&lg->devices.console);
	if (wait < 0)
		devices_push_input(&lg->devices);
	return wait >= 0 && (timeout < 0 || wait < timeout) ? wait : timeout;
}

static void *helper(void *arg)
{
	struct lguest *lg = arg;
	struct epoll_event ev[16];
	int timeout = 0;

	if (sandbox_filter(&policy_vcpu_lguest, NULL) < 0)
		lg->filter_error = errno;
	sem_post(&lg->confined);
	sem_wait(&lg->start);
	for (;;) {
		int n = epoll_pwait(VFD_EPOLL, ev, ARRAY_SIZE(ev), timeout, NULL);
		int pause = lguest_flag_look(lg);

		pthread_mutex_lock(&lg->lock);
		lg->vm->stats.wakeups++;
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (is_call(fd))
				call(lg, (unsigned)(fd - VFD_QCALL0));
			else if (fd == VFD_CTL)
				supervisor_says(lg);
			else
				devices_event(&lg->devices, fd, ev[i].events);
		}
		timeout = devices_work(&lg->devices) ? 0 : pause;
		timeout = input_due(lg, timeout);
		pthread_mutex_unlock(&lg->lock);
	}
	return NULL;
}

static int watch_calls(struct lguest *lg, struct device *d)
{
	for (unsigned q = 0; q < d->front.nqueues; q++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = device_call_fd(d, q) };

		if (epoll_ctl(VFD_EPOLL, EPOLL_CTL_ADD, ev.data.fd, &ev) < 0)
			return vm_fail(lg->vm, GUEST_ENGINE_FAILED, "epoll: %m");
	}
	return 0;
}

int lguest_events_watch(struct lguest *lg)
{
	for (unsigned i = 0; i < lg->devices.n; i++)
		if (lg->devices.dev[i].type == DEVICE_BACKED && watch_calls(lg, &lg->devices.dev[i]) < 0)
			return -1;
	return 0;
}

int lguest_events_create(struct lguest *lg)
{
	pthread_attr_t attr;
	int error;

	if (lguest_wait_prepare(lg->vm) < 0)
		return -1;
	sem_init(&lg->confined, 0, 0);
	sem_init(&lg->start, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	error = pthread_create(&lg->helper, &attr, helper, lg);
	pthread_attr_destroy(&attr);
	errno = error;
	return error ? vm_fail(lg->vm, GUEST_ENGINE_FAILED, "cannot create the second thread: %m") : 0;
}
