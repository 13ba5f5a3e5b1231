/* The ustar format with pax headers (POSIX.1-2008, pax), as far as files, directories and links need it. */
#pragma once

#include <stdint.h>

enum { TAR_BLOCK = 512, TAR_NAME_MAX = 4096, TAR_PAX_MAX = 64 << 10 };

struct tar_header {
        char name[100];
        char mode[8];
        char uid[8];
        char gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char type;
        char link_name[100];
        char magic[6];
        char version[2];
        char user_name[32];
        char group_name[32];
        char device_major[8];
        char device_minor[8];
        char prefix[155];
        char padding[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is one block");

/* The sum of all bytes, with spaces for the bytes of the checksum itself. */
unsigned tar_checksum(const struct tar_header *header);
