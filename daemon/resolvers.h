/* Finds the host's resolvers that a carrel can reach, for dns = auto. */
#pragma once

#include <stddef.h>

enum { RESOLVERS_MOST = 3 /* resolv.conf(5): the C library asks no more */, RESOLVERS_BYTES = RESOLVERS_MOST * 17 };

/* Writes IPv4 addresses, separated by commas, or "" when there are none: those of /etc/resolv.conf that are not
 * loopback addresses, which nobody inside a carrel could ask; where all are (systemd-resolved, dnsmasq or
 * NetworkManager listens there), the upstream resolvers that this one writes in /run. Addresses in network_cidr are
 * the carrels' own, where no resolver can be reached: they are left out, too, and go to ret_skipped, in the same form
 * and as far as there is room. root: "", or a directory that stands for /. An invalid network_cidr leaves nothing out.
 */
void resolvers_find(const char *root, const char *network_cidr, char ret_list[static RESOLVERS_BYTES],
                    char ret_skipped[static RESOLVERS_BYTES]);
