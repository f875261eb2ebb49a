# lguest-sep: everything that is built, and how.
#
#   make [ARCH=x86_64|i386] [CC=gcc|clang] [SAN=address,undefined]
#   make check            unit tests and whole-program tests (root)
#   make check-unit       unit tests alone (anybody)
#   make install PREFIX=/usr/local
#
# A role's executable is made from its own folder, common/ and the policies that
# it names; roles never include each other's headers (make check-lint holds it).

ARCH   ?= x86_64
CC     ?= gcc
HOSTCC ?= gcc
PREFIX ?= /usr/local
SAN    ?=
V      ?= 0

comma := ,
B := build$(if $(filter-out x86_64,$(ARCH)),-$(ARCH))$(if $(SAN),-$(firstword $(subst $(comma), ,$(SAN))))$(if $(filter clang%,$(CC)),-clang)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2);)

WARN  := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	 -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wimplicit-fallthrough -Wundef
HARD  := -fstack-protector-strong -fstack-clash-protection $(if $(filter clang%,$(CC)),,-ftrivial-auto-var-init=zero) -fcf-protection
ifneq ($(SAN),)
HARD  := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
HARD  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
MARCH := $(if $(filter i386,$(ARCH)),-m32 -march=i686 -mtune=generic)
BASE  := -std=gnu11 -O2 -g -I. -I$(B) -MMD -MP $(WARN) $(MARCH) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
VERSION := $(shell cat VERSION)
BASE  += -DLGUEST_SEP_VERSION='"$(VERSION)"'

# Roles: static PIE. The parent: dynamic PIE with libnl-route and libcap-ng.
ROLE_CFLAGS := $(BASE) $(HARD) -fPIE
ROLE_LDFLAGS := $(MARCH) -static-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections
ifneq ($(SAN),)
ROLE_LDFLAGS := $(MARCH) -pie -fsanitize=$(SAN)
endif
PKG_CONFIG := $(if $(filter i386,$(ARCH)),PKG_CONFIG_LIBDIR=/usr/lib/i386-linux-gnu/pkgconfig:/usr/share/pkgconfig )pkg-config
NL_CFLAGS := $(shell $(PKG_CONFIG) --cflags libnl-route-3.0 2>/dev/null)
NL_LIBS   := $(shell $(PKG_CONFIG) --libs libnl-route-3.0 2>/dev/null)
PARENT_LIBS := $(NL_LIBS) -lcap-ng
PARENT_CFLAGS := $(ROLE_CFLAGS) $(NL_CFLAGS)
PARENT_LDFLAGS := $(MARCH) -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN))

src  = $(sort $(wildcard $(1)/*.c))
obj  = $(patsubst %.c,$(B)/%.o,$(1))

COMMON_OBJ := $(call obj,$(call src,common))
POLICIES   := $(patsubst policy/%.policy,%,$(sort $(wildcard policy/*.policy)))
POLICY_OBJ := $(patsubst %,$(B)/policy/%.policy.o,$(POLICIES))
VCPU_OBJ   := $(call obj,$(call src,vcpu))
NETD_OBJ   := $(call obj,$(call src,netd))
BLKD_OBJ   := $(call obj,$(call src,blkd))
INIT_OBJ   := $(call obj,$(call src,parent/init))
PARENT_OBJ := $(call obj,$(call src,parent))

BIN := $(B)/bin
PROGRAMS := $(BIN)/lguest-sep $(BIN)/lguest-sep-vcpu $(BIN)/lguest-sep-netd \
	    $(BIN)/lguest-sep-blkd $(BIN)/lguest-sep-init

.DEFAULT_GOAL := all
.PHONY: all clean install check check-unit
all: $(PROGRAMS)

# --- policies: text -> BPF, on the build host, for the target's architecture
$(B)/policy/compile: policy/compile.c $(wildcard policy/*.h) common/fdtab.h
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)$(HOSTCC) -std=gnu11 -O1 -g -I. -Wall -Wextra -Werror -D_GNU_SOURCE -o $@ $< -lseccomp
$(B)/policy/%.policy.c: policy/%.policy $(B)/policy/compile
	$(call say,POLICY,$<)$(B)/policy/compile $(ARCH) $< $@
.PRECIOUS: $(B)/policy/%.policy.c
$(B)/policy/%.policy.o: $(B)/policy/%.policy.c
	$(Q)$(CC) $(ROLE_CFLAGS) -c -o $@ $<
$(B)/libpolicy.a: $(POLICY_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^
$(B)/libcommon.a: $(COMMON_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/parent/%.o: parent/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(PARENT_CFLAGS) -c -o $@ $<
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ROLE_CFLAGS) -ffunction-sections -fdata-sections -c -o $@ $<

$(BIN)/lguest-sep: $(PARENT_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(PARENT_LDFLAGS) -o $@ $(PARENT_OBJ) $(B)/libcommon.a $(B)/libpolicy.a $(PARENT_LIBS)
define role
$$(BIN)/lguest-sep-$(1): $$($(2)) $$(B)/libcommon.a $$(B)/libpolicy.a
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)$$(CC) $$(ROLE_LDFLAGS) -o $$@ $$($(2)) $$(B)/libcommon.a $$(B)/libpolicy.a $(3)
endef
$(eval $(call role,vcpu,VCPU_OBJ,-lz))
$(eval $(call role,netd,NETD_OBJ,))
$(eval $(call role,blkd,BLKD_OBJ,))
$(eval $(call role,init,INIT_OBJ,))

# --- unit tests: tests/unit/FOLDER_what_it_promises.c is linked with FOLDER's
#     objects (but main.o), common/, the policies and tests/lib.
#     The policy compiler is the build host's, and so is its test.
TEST_SRC := $(filter-out $(if $(filter i386,$(ARCH)),tests/unit/policy_%),$(call src,tests/unit))
TESTS    := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(TEST_SRC))
TLIB_OBJ := $(call obj,$(call src,tests/lib))
notmain   = $(filter-out %/main.o $(B)/policy/compile.o,$(1))
parts     = $(call notmain,$(call obj,$(call src,$(firstword $(subst _, ,$(notdir $(1)))))))
TEST_CFLAGS := $(BASE) $(if $(SAN),$(HARD),-fPIE) $(NL_CFLAGS)
$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(TEST_CFLAGS) -c -o $@ $<
.SECONDEXPANSION:
$(TESTS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $$(filter-out $(B)/common/%,$$(call parts,%)) $(TLIB_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(filter %.o,$^) -Wl,--start-group $(B)/libcommon.a $(B)/libpolicy.a -Wl,--end-group \
	  -lcmocka -lz -lpthread $(if $(findstring unit/parent_,$@),$(PARENT_LIBS)) $(if $(findstring unit/policy_,$@),-lseccomp)
check-unit: $(TESTS)
	$(Q)tools/run-unit $(TESTS)

# Fragments: each folder that builds more than the above has its own.
-include $(sort $(wildcard */*.mk))

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/lguest-sep $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(BIN)/lguest-sep $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(filter-out $(BIN)/lguest-sep,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/libexec/lguest-sep/
	install -m 644 docs/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
clean:
	rm -rf build build-*

-include $(shell find $(B) -name '*.d' 2>/dev/null)
