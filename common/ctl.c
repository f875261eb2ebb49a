/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel between the supervisor and each role. Each packet is validated
 * on arrival. No descriptor is accepted with a packet. Every string of an accepted
 * message is NUL-terminated and printable.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ctl.h"
#include "common/fmt.h"

const char *layer_text(enum layer l)
{
	static const char *const text[LAYER_COUNT] = {
#define X(sym, s) [LAYER_##sym] = (s),
		LAYERS(X)
#undef X
	};

	return (unsigned)l < LAYER_COUNT ? text[l] : "?";
}

/*
 * Receive one packet of exactly @size bytes. Returns 1; 0 if none is queued; or -1 with
 * errno set: EPIPE if the peer is gone, EPROTO for another size or for descriptors.
 */
static int recv_packet(int fd, void *buf, size_t size, int flags)
{
	struct iovec iov = { buf, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = recvmsg(fd, &mh, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		errno = EPIPE;
		return -1;
	}
	if ((size_t)n != size || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		errno = EPROTO;
		return -1;
	}
	return 1;
}

static bool ended(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

static bool vcpu_config_ok(const struct vcpu_config *c)
{
	if (c->ndevices > MAX_DEVICES || c->smp == 0 || c->smp > MAX_VCPUS || c->engine > ENGINE_QEMU ||
	    !ended(c->kernel_name, sizeof(c->kernel_name)) || !ended(c->cmdline, sizeof(c->cmdline)))
		return false;
	if (c->nports > MAX_PORTS)
		return false;
	if (c->shmem_bytes &&
	    (!is_power_of_two(c->shmem_bytes) || c->shmem_bytes < SHMEM_MIN || c->shmem_bytes > SHMEM_MAX))
		return false;
	if (c->exit_port > EXIT_PORT_SIFIVE_TEST || (c->exit_base != EXIT_PORT && c->exit_base != EXIT_PORT_QEMU))
		return false;
	if (c->machine >= MACHINE_COUNT || c->machine_type >= MACHINE_TYPES ||
	    !machine_get(c->machine)->type[c->machine_type] || c->firmware > FIRMWARE_FILE ||
	    !ended(c->cpu, sizeof(c->cpu)) || (*c->cpu && !machine_cpu_ok(c->cpu)))
		return false;
	for (unsigned i = 0; i < c->nports; i++)
		if (!ended(c->port[i], sizeof(c->port[i])))
			return false;
	for (unsigned i = 0; i < c->ndevices; i++)
		if (c->dev[i].kind > DEV_FS || c->dev[i].queues == 0 || c->dev[i].queues > MAX_QUEUES ||
		    c->dev[i].index >= MAX_DEVICES || c->dev[i].bus > BUS_VIRTIO || c->dev[i].cache > FS_CACHE_ALWAYS ||
		    !ended(c->dev[i].tag, sizeof(c->dev[i].tag)))
			return false;
	return true;
}

/* True if the byte at @b is a bool: a message may contain any other byte, which must not be read as one. */
static bool is_bool(const bool *b)
{
	return *(const unsigned char *)b <= 1;
}

static bool config_ok(const struct role_config *rc, enum role role)
{
	if (rc->type != CTL_CONFIG || rc->role != (uint32_t)role || !ended(rc->name, sizeof(rc->name)) ||
	    rc->log_level > LOG_DEBUG)
		return false;
	switch (role) {
	case ROLE_VCPU:
		return vcpu_config_ok(&rc->vcpu);
	case ROLE_NETD:
		return is_bool(&rc->net.dhcp.on) && is_bool(&rc->net.ra.on) && rc->net.queue_pairs > 0 &&
		       rc->net.queue_pairs <= MAX_QUEUES / 2 &&
		       (!rc->net.dhcp.on || (rc->net.dhcp.prefix && rc->net.dhcp.prefix < 32)) &&
		       rc->net.dhcp.ndns <= DHCP_RESOLVERS &&
		       (!rc->net.ra.on || (rc->net.ra.interval_ms && rc->net.ra.interval_ms <= INT32_MAX)) &&
		       rc->net.ra.ndns <= DHCP_RESOLVERS;
	case ROLE_BLKD:
		return is_bool(&rc->blk.nbd) && is_bool(&rc->blk.snapshot) && is_bool(&rc->blk.levels) &&
		       is_bool(&rc->blk.saved) && is_bool(&rc->blk.lower) && is_bool(&rc->blk.begins) &&
		       (!rc->blk.lower || (rc->blk.snapshot && !rc->blk.levels && !rc->blk.saved)) &&
		       rc->blk.queues > 0 && rc->blk.queues <= MAX_QUEUES && rc->blk.capacity % 512 == 0 &&
		       rc->blk.cache <= BLK_CACHE_UNSAFE && rc->blk.io <= BLK_IO_SYNC &&
		       (!rc->blk.nbd || rc->blk.io == BLK_IO_SYNC) && ended(rc->blk.serial, sizeof(rc->blk.serial));
	case ROLE_FSD:
		return is_bool(&rc->fs.read_write) && is_bool(&rc->fs.others_are_root) && is_bool(&rc->fs.mapped) &&
		       is_bool(&rc->fs.tables_lent) && is_bool(&rc->fs.checkpoint) && is_bool(&rc->fs.saved) &&
		       is_bool(&rc->fs.fresh) && is_bool(&rc->fs.begins) &&
		       (!rc->fs.fresh || (!rc->fs.checkpoint && !rc->fs.read_write)) &&
		       (!rc->fs.begins || (rc->fs.fresh && rc->fs.tables_lent && !rc->fs.saved)) &&
		       !((rc->fs.checkpoint || rc->fs.saved) && rc->fs.read_write) && rc->fs.request_queues >= 1 &&
		       rc->fs.request_queues <= FS_MAX_REQUEST_QUEUES && rc->fs.inodes >= FSD_MIN_INODES &&
		       rc->fs.inodes <= FSD_MAX_INODES && rc->fs.open >= FSD_MIN_OPEN && rc->fs.open <= FSD_MAX_OPEN &&
		       rc->fs.cache <= FS_CACHE_ALWAYS &&
		       (!rc->fs.read_write || (rc->fs.max >= FSD_MIN_MAX && rc->fs.max <= FSD_MAX_MAX));
	case ROLE_CONTROLD:
		return true;
	default:
		return false;
	}
}

int ctl_recv_config(int fd, enum role role, struct role_config *rc)
{
	int got = recv_packet(fd, rc, sizeof(*rc), 0);

	if (got == 0)
		errno = EAGAIN;
	if (got <= 0)
		return -1;
	if (!config_ok(rc, role)) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int ctl_send(int fd, const struct ctl_msg *m)
{
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int ctl_send_text(int fd, enum ctl_type type, uint32_t value, const char *text)
{
	struct ctl_msg m = { .type = type, .value = value };

	fmt_line(m.text, sizeof(m.text), "%s", text);
	return ctl_send(fd, &m);
}

static bool state_ok(struct guest_state *s)
{
	if (!ended(s->name, sizeof(s->name)) || !ended(s->kernel, sizeof(s->kernel)) ||
	    s->phase >= GUEST_PHASES_COUNT || s->engine > ENGINE_QEMU)
		return false;
	make_printable(s->name, strlen(s->name));
	make_printable(s->kernel, strlen(s->kernel));
	return true;
}

static bool role_stats_ok(struct ctl_msg *m)
{
	struct role_stats *r = &m->role_stats;

	if (!ended(r->name, sizeof(r->name)) || m->queue >= m->count || m->count > MAX_STATS_ROLES)
		return false;
	make_printable(r->name, strlen(r->name));
	return true;
}

static bool part_ok(struct ctl_msg *m)
{
	struct guest_part *p = &m->part;

	if (!ended(p->name, sizeof(p->name)) || !ended(p->what, sizeof(p->what)) ||
	    !ended(p->ifname, sizeof(p->ifname)) || !ended(p->where, sizeof(p->where)) || p->kind >= PART_KINDS ||
	    p->detail >= NET_KIND_COUNT || m->queue >= m->count || m->count > MAX_PARTS)
		return false;
	make_printable(p->name, strlen(p->name));
	make_printable(p->what, strlen(p->what));
	make_printable(p->ifname, strlen(p->ifname));
	make_printable(p->where, strlen(p->where));
	return true;
}

/* True if the value of @m is one that its type can have. */
static bool value_ok(const struct ctl_msg *m)
{
	switch (m->type) {
	case CTL_SYSRQ:
		return sysrq_key_ok(m->value);
	case CTL_COMMAND:
		return m->value > CONTROL_NONE && m->value < CONTROL_COUNT;
	case CTL_ANSWER:
		return m->value <= CONTROL_BUSY;
	case CTL_LOG:
		return m->value <= LOG_DEBUG;
	case CTL_ROUND:
		return m->value <= RESET_ONS;
	default:
		return m->value >= GUEST_POWEROFF && m->value <= GUEST_REPORTED &&
		       (m->value != GUEST_REPORTED || m->detail <= UINT8_MAX);
	}
}

/* True if type, value and text of @m are valid. Replaces unprintable characters of its text. */
static bool msg_ok(struct ctl_msg *m)
{
	switch (m->type) {
	case CTL_STATS:
	case CTL_RESETS:
	case CTL_ROLE_RESETS:
		return true;
	case CTL_CONSOLE:
		return m->count <= sizeof(m->text);
	case CTL_STATE:
		return state_ok(&m->state);
	case CTL_ROLE_STATS:
		return role_stats_ok(m);
	case CTL_PART:
		return part_ok(m);
	case CTL_GET_STATS:
	case CTL_STOP:
	case CTL_POWER_BUTTON:
	case CTL_WINDOW_SIZE:
	case CTL_NMI:
	case CTL_CHECKPOINT:
	case CTL_RESET:
	case CTL_NEXT_ROUND:
	case CTL_HELPERS_GONE:
	case CTL_END_HELPERS:
	case CTL_START_HELPERS:
	case CTL_FRONT:
	case CTL_READY:
	case CTL_RUNNING:
	case CTL_FAULT:
	case CTL_OVER:
		break;
	case CTL_SYSRQ:
	case CTL_COMMAND:
	case CTL_ANSWER:
	case CTL_LOG:
	case CTL_ROUND:
	case CTL_GUEST_END:
		if (!value_ok(m))
			return false;
		break;
	default:
		return false;
	}
	if (!ended(m->text, sizeof(m->text)))
		return false;
	make_printable(m->text, strlen(m->text));
	return true;
}

int ctl_recv(int fd, struct ctl_msg *m)
{
	int got = recv_packet(fd, m, sizeof(*m), MSG_DONTWAIT);

	if (got <= 0)
		return got;
	if (!msg_ok(m)) {
		errno = EPROTO;
		return -1;
	}
	return 1;
}
