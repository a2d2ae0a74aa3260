/* Addresses and networks of peers, as operators write them. */
#ifndef ASSAY_CONFIG_NETWORK_H
#define ASSAY_CONFIG_NETWORK_H

#include "config/config.h"
#include "proxy/base/check.h"

/* "10.1.2.3", "10.0.0.0/8", "2001:db8::/32", "unix". False for anything else, also for
 * a network with bits set behind its prefix. */
bool network_parse(const char *text, struct config_network *network) MUST_CHECK;

/* Is this address (16 bytes; IPv4 as ::ffff:a.b.c.d; NULL: a Unix socket) in
 * one of them? */
bool networks_hold(const struct config_networks *networks, const uint8_t *address);

#endif
