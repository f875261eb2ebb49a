# What the vCPU role of this tree can do is known when the parent is built.
$(B)/parent/engines.o: PARENT_CFLAGS += $(if $(filter x86_64,$(ARCH)),-DHAVE_ENGINE_KVM) \
	$(if $(wildcard vcpu/engine_lguest.c),-DHAVE_ENGINE_LGUEST)
$(B)/parent/engines.o: $(wildcard vcpu/engine_*.c)
