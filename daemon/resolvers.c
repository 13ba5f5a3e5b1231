#include "resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cidr.h"
#include "scope.h"

enum { FILE_BYTES = 16384 };

/* The first that names an address wins. */
static const char *const FILES[] = {
        "/etc/resolv.conf",         "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf",
        "/run/dnsmasq/resolv.conf", "/run/resolvconf/resolv.conf",
};

/* Not this host, loopback, multicast or reserved. */
static bool is_askable(const char *text, char ret_address[static INET_ADDRSTRLEN])
{
        struct in_addr address;
        uint32_t first;

        if (inet_pton(AF_INET, text, &address) != 1)
                return false;
        first = ntohl(address.s_addr) >> 24;
        return first != 0 && first != 127 && first < 224 &&
               inet_ntop(AF_INET, &address, ret_address, INET_ADDRSTRLEN) != NULL;
}

static void read_file(const char *root, const char *name, char ret_text[static FILE_BYTES])
{
        AUTO(auto_close) int fd = -1;
        char path[512];
        size_t length = 0;
        ssize_t n = 1;

        ret_text[0] = '\0';
        if (snprintf(path, sizeof path, "%s%s", root, name) >= (int)sizeof path)
                return;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        while (fd >= 0 && n > 0 && length < FILE_BYTES - 1) {
                n = read(fd, ret_text + length, FILE_BYTES - 1 - length);
                length += n > 0 ? (size_t)n : 0;
        }
        ret_text[length] = '\0';
}

struct found {
        struct cidr network; /* of carrels */
        bool has_network;
        char *list, *skipped; /* RESOLVERS_BYTES each */
};

static void append(char list[static RESOLVERS_BYTES], const char *address)
{
        size_t length = strlen(list);

        /* The longest address and a comma: what is there stays whole. */
        if (length + INET_ADDRSTRLEN + 1 <= RESOLVERS_BYTES)
                (void)snprintf(list + length, RESOLVERS_BYTES - length, "%s%s", length > 0 ? "," : "", address);
}

static bool is_carrels(const struct found *found, const char *address)
{
        struct cidr one;

        return found->has_network && cidr_parse(address, &one) == NULL && cidr_overlaps(one, found->network);
}

static void read_resolvers(char *text, const struct found *found)
{
        char *rest = text;
        unsigned count = 0;

        for (char *line = strsep(&rest, "\n"); line != NULL && count < RESOLVERS_MOST; line = strsep(&rest, "\n")) {
                char address[INET_ADDRSTRLEN];
                char *words = NULL;
                const char *key = strtok_r(line, " \t\r", &words);
                const char *value = key == NULL ? NULL : strtok_r(NULL, " \t\r", &words);

                if (value == NULL || strcmp(key, "nameserver") != 0 || !is_askable(value, address))
                        continue;
                if (is_carrels(found, address)) {
                        append(found->skipped, address);
                        continue;
                }
                append(found->list, address);
                count++;
        }
}

void resolvers_find(const char *root, const char *network_cidr, char ret_list[static RESOLVERS_BYTES],
                    char ret_skipped[static RESOLVERS_BYTES])
{
        struct found found = { .list = ret_list, .skipped = ret_skipped };
        char text[FILE_BYTES];

        found.has_network = cidr_parse(network_cidr, &found.network) == NULL;
        ret_list[0] = ret_skipped[0] = '\0';
        for (size_t i = 0; i < sizeof FILES / sizeof *FILES && ret_list[0] == '\0'; i++) {
                read_file(root, FILES[i], text);
                read_resolvers(text, &found);
        }
}
