#include "resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static void read_resolvers(char *text, char ret_list[static RESOLVERS_BYTES])
{
        char *rest = text;
        unsigned count = 0;

        ret_list[0] = '\0';
        for (char *line = strsep(&rest, "\n"); line != NULL && count < RESOLVERS_MOST; line = strsep(&rest, "\n")) {
                char address[INET_ADDRSTRLEN];
                char *words = NULL;
                const char *key = strtok_r(line, " \t\r", &words);
                const char *value = key == NULL ? NULL : strtok_r(NULL, " \t\r", &words);
                size_t length = strlen(ret_list);

                if (value == NULL || strcmp(key, "nameserver") != 0 || !is_askable(value, address))
                        continue;
                (void)snprintf(ret_list + length, RESOLVERS_BYTES - length, "%s%s", count > 0 ? "," : "", address);
                count++;
        }
}

void resolvers_find(const char *root, char ret_list[static RESOLVERS_BYTES])
{
        char text[FILE_BYTES];

        ret_list[0] = '\0';
        for (size_t i = 0; i < sizeof FILES / sizeof *FILES && ret_list[0] == '\0'; i++) {
                read_file(root, FILES[i], text);
                read_resolvers(text, ret_list);
        }
}
