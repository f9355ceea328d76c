/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysctl.h - read kernel settings; waylay itself changes none.
 */
#ifndef WL_NET_SYSCTL_H
#define WL_NET_SYSCTL_H

/* The number in /proc/sys/NAME ("net/ipv4/ip_forward"), or -errno when
 * it is missing or no number.  Settings below zero do not occur among those
 * that waylay reads. */
int sysctl_read(const char *name);

#endif
