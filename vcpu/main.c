/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU process: receive, map, confine, loop. It is what a guest takes over
 * first. It must never hold a disk, a tap, the terminal or a path.
 */
#include "common/ctl.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "engine.h"

/* An engine that this architecture's build lacks has no definition: then the address is NULL. */
#pragma weak engine_qemu
#pragma weak engine_kvm
#pragma weak engine_lguest

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
 * Guest memory is one file: its beginning lies at 0, and what would reach into
 * the PCI hole below 4 GiB lies at 4 GiB. QEMU maps it by itself.
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

/* Confined: say which layers are missing. With --strict that is a reason not to go on. */
static int ready(void)
{
	char text[LOG_LINE_MAX / 2];

	if (ctl_send_text(VFD_CTL, CTL_READY, vm.missing, "") < 0)
		return vm_fail(&vm, GUEST_ENGINE_FAILED, "the supervisor is gone: %m");
	if (config.strict && vm.missing) {
		sandbox_missing_text(vm.missing, text, sizeof(text));
		return vm_fail(&vm, GUEST_ENGINE_FAILED, "--strict, and missing: %s", text);
	}
	return 0;
}

/* The last words: why the guest ended. The exit status says only whether there were any. */
static int report(void)
{
	if (!vm.end)
		vm_fail(&vm, GUEST_ENGINE_FAILED, "the engine ended without a reason");
	return ctl_send_text(VFD_CTL, CTL_GUEST_END, vm.end, vm.end_text) < 0;
}

int main(void)
{
	const struct engine *engine;

	log_to_ctl(VFD_CTL, "vcpu", LOG_INFO);
	if (ctl_recv_config(VFD_CTL, ROLE_VCPU, &config) < 0)
		die("no configuration: %m");
	log_to_ctl(VFD_CTL, config.name, config.log_level);

	engine = pick_engine(config.vcpu.engine);
	if (!engine) {
		vm_fail(&vm, GUEST_ENGINE_FAILED, "this engine is not in this build yet");
		return report();
	}
	if (map() < 0 || engine->create(&vm) < 0 || engine->confine(&vm) < 0 || ready() < 0)
		return report();
	engine->run(&vm);
	engine->destroy(&vm);
	return report();
}
