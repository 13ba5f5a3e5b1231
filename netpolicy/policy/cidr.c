#include "cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

enum { ITEM_BYTES = 48 }; /* more than any CIDR with a port, enough to name an IPv6 address in the answer */

uint32_t cidr_mask(uint8_t length)
{
        return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

bool cidr_is_valid(struct cidr cidr)
{
        return cidr.length <= 32 && (cidr.address & ~cidr_mask(cidr.length)) == 0;
}

bool cidr_overlaps(struct cidr a, struct cidr b)
{
        uint32_t mask = cidr_mask(a.length < b.length ? a.length : b.length);

        return (a.address & mask) == (b.address & mask);
}

bool cidr_is_equal(struct cidr a, struct cidr b)
{
        return a.address == b.address && a.length == b.length;
}

static const char *parse_length(const char *text, uint8_t *ret_length)
{
        uint64_t length = 0;

        if (str_parse_u64(text, 0, 32, &length) < 0)
                return "the prefix length must be 0 to 32";
        *ret_length = (uint8_t)length;
        return NULL;
}

const char *cidr_parse(const char *text, struct cidr *ret_cidr)
{
        struct cidr cidr = { .length = 32 };
        char item[ITEM_BYTES];
        struct in_addr address;
        char *slash;
        const char *problem = NULL;

        if (*text == '\0')
                return "an item is empty";
        if (strchr(text, ':') != NULL)
                return strchr(text, ':') != strrchr(text, ':') ? "carrels have no IPv6, so only IPv4 can be listed"
                                                               : "only allow takes a port";
        if (str_copy(item, sizeof item, text) < 0)
                return "it is too long for a CIDR";
        slash = strchr(item, '/');
        if (slash != NULL) {
                *slash = '\0';
                problem = parse_length(slash + 1, &cidr.length);
        }
        if (problem != NULL)
                return problem;
        if (inet_pton(AF_INET, item, &address) != 1)
                return "it is not an IPv4 address such as 10.0.0.0/8";
        cidr.address = ntohl(address.s_addr);
        if (!cidr_is_valid(cidr))
                return "it has bits set after its prefix length";
        *ret_cidr = cidr;
        return NULL;
}

const char *cidr_parse_with_port(const char *text, struct cidr *ret_cidr, uint16_t *ret_port)
{
        char item[ITEM_BYTES];
        uint64_t port = 0;
        struct cidr cidr;
        const char *problem;
        char *colon;

        if (str_copy(item, sizeof item, text) < 0)
                return "it is too long for a CIDR with a port";
        colon = strchr(item, ':');
        if (colon != NULL && strchr(colon + 1, ':') == NULL) {
                *colon = '\0';
                if (str_parse_u64(colon + 1, 1, UINT16_MAX, &port) < 0)
                        return "the port must be 1 to 65535";
        }
        problem = cidr_parse(item, &cidr);
        if (problem != NULL)
                return problem;
        *ret_cidr = cidr;
        *ret_port = (uint16_t)port;
        return NULL;
}

void cidr_format(struct cidr cidr, char text[static CIDR_TEXT_BYTES])
{
        struct in_addr address = { .s_addr = htonl(cidr.address) };
        char dotted[INET_ADDRSTRLEN] = "";

        (void)inet_ntop(AF_INET, &address, dotted, sizeof dotted);
        (void)snprintf(text, CIDR_TEXT_BYTES, "%s/%u", dotted, (unsigned)cidr.length);
}
