/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taps, and the timer of rate limits. Functions with result int return 0, or -1 with errno set. */
#ifndef NETD_TAP_H
#define NETD_TAP_H

#include <linux/if.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Open @pairs queues of the tap @name at HFD_TAP0 and above; the tap is created if it does
 * not exist. Sets @name to the name that the kernel gave it. Before confinement.
 */
int tap_open(char name[IFNAMSIZ], unsigned pairs);

/*
 * Check that @fd is a tap with IFF_NO_PI, set its header size to TAP_HDR_LEN, and make it
 * non-blocking. *@vnet_hdr: the tap has a header (IFF_VNET_HDR). Before confinement.
 */
int tap_prepare(int fd, bool *vnet_hdr);

/* The TUN_F_* flags that this tap supports. All offloads are off afterwards. Before confinement. */
uint32_t tap_probe(int fd);

/* MTU of the tap in bytes; 0 if it cannot be read. Before confinement. */
unsigned tap_mtu(int fd);

/* Set which offloads frames to the guest may use (TUN_F_*). The only ioctl that the filter allows. */
int tap_set_offload(int fd, uint32_t offloads);

/* Create a timer at HFD_TIMER that expires every BUCKET_TICK_MS. Before confinement. */
int rate_timer_open(void);

/*
 * Have epoll report the next expiry of the timer. The descriptor is watched edge-triggered:
 * without this read it is not reported again, so netd is not woken while nothing waits.
 */
void rate_timer_again(void);

#endif
