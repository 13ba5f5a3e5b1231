/* The file system that a path is on. */
#pragma once

#include <stdbool.h>

enum { FILE_SYSTEM_NAME_BYTES = 16 };

struct file_system {
        char name[FILE_SYSTEM_NAME_BYTES]; /* as mount(8) names it, or the number of statfs(2) in hexadecimal */
        bool is_in_memory;                 /* a tmpfs or ramfs: fsync(2) costs nothing, and a reboot clears it */
};

/* Blocks while the file system does not answer. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int file_system_read(struct file_system *ret_system, const char *path);
