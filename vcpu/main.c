/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU process: receives its configuration, maps guest memory, confines itself and runs
 * the guest. A guest that finds a bug compromises this process first, so it has no disk, no
 * tap, no terminal and no access to paths.
 */
#include <sys/prctl.h>

#include "common/ctl.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "vcpu/engine.h"
#include "vcpu/vm.h"

static struct role_config config;
static struct vm vm = { .rc = &config, .c = &config.vcpu };

static const struct engine *pick_engine(enum engine_kind kind)
{
	switch (kind) {
	case ENGINE_QEMU:
		return &engine_qemu;
	case ENGINE_KVM:
		return &engine_kvm;
	case ENGINE_LGUEST:
		return &engine_lguest;
	default:
		return NULL;
	}
}

/*
 * Map guest memory: one file, whose first 3 GiB are at guest-physical address 0 and whose
 * rest is at 4 GiB. With the qemu engine QEMU maps it. Returns 0, or -1 with vm.end set.
 */
static int map(void)
{
	uint64_t size = config.vcpu.mem_bytes, low = MIN(size, GUEST_RAM_LOW_MAX);
	struct shm_policy p = {
		.same_inode = true,
		.allow_unsealed = config.mem_unsealed,
		.dev = (dev_t)config.mem_dev,
		.ino = (ino_t)config.mem_ino,
	};
	enum shm_error e;

	if (config.vcpu.engine == ENGINE_QEMU)
		return 0;
	e = shm_add(&vm.mem, &p, VFD_MEM, 0, low, 0, 0);
	if (e == SHM_OK && size > low)
		e = shm_add(&vm.mem, &p, VFD_MEM, GUEST_RAM_HIGH, size - low, GUEST_RAM_HIGH, low);
	if (e != SHM_OK)
		return vm_fail(&vm, GUEST_ENGINE_FAILED, "guest memory: %s", shm_strerror(e));
	return 0;
}

/* Report to the supervisor that we are confined, and which layers are missing. With --strict, none may be. */
static int ready(void)
{
	char text[LOG_LINE_MAX / 2];

	if (ctl_send_text(VFD_CTL, CTL_READY, vm.missing, "") < 0)
		return vm_fail(&vm, GUEST_ENGINE_FAILED, "the supervisor is gone: %m");
	if (config.strict && vm.missing) {
		sandbox_missing_text(vm.missing, text, sizeof(text));
		return vm_fail(&vm, GUEST_ENGINE_FAILED, "--strict: this host lacks %s", text);
	}
	return 0;
}

/* Report why the guest ended. Returns the exit status: 0, or 1 if the supervisor could not be reached. */
static int report(void)
{
	struct ctl_msg m = { .type = CTL_GUEST_END };

	if (!vm.end)
		vm_fail(&vm, GUEST_ENGINE_FAILED, "the engine ended without reporting a reason");
	m.value = vm.end;
	m.detail = vm.end_report;
	fmt_line(m.text, sizeof(m.text), "%s", vm.end_text);
	return ctl_send(VFD_CTL, &m) < 0;
}

int main(void)
{
	const struct engine *engine;

	sandbox_undumpable();
	/* After execveat(), kernels before Linux 6.14 would show the descriptor's number as our name. */
	prctl(PR_SET_NAME, "lguest-sep-vcpu");
	log_to_ctl(VFD_CTL, "vcpu", LOG_INFO);
	if (ctl_recv_config(VFD_CTL, ROLE_VCPU, &config) < 0)
		die("no valid configuration from the supervisor: %m");
	log_to_ctl(VFD_CTL, config.name, config.log_level);

	engine = pick_engine(config.vcpu.engine);
	if (!engine) {
		vm_fail(&vm, GUEST_ENGINE_FAILED, "the supervisor's configuration names an unknown engine");
		return report();
	}
	if (map() < 0 || engine->create(&vm) < 0 || engine->confine(&vm) < 0 || ready() < 0)
		return report();
	engine->run(&vm);
	return report();
}
