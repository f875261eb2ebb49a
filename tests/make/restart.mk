# Kills helpers under load (tests/restart/). check-restart runs only tests/long/helper-kills.
RESTART_OBJ := $(call obj,$(call src,tests/restart)) $(B)/tests/lib/front.o $(B)/tests/lib/front_ring.o
$(B)/tests/restart-kills: $(RESTART_OBJ) $(B)/libcommon.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(RESTART_OBJ) $(B)/libcommon.a
tests check: $(B)/tests/restart-kills
.PHONY: check-restart
check-restart: $(B)/tests/restart-kills $(PROGRAMS)
	LONG_BUILD=$(abspath $(B)) tests/long/helper-kills $(KILLS)
