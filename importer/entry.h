/* Judges an entry of an archive before it is unpacked. Pure; everything here is outside input. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

enum {
        ENTRY_PATH_BYTES = 4096,   /* PATH_MAX, NUL included */
        ENTRY_COMPONENT_MAX = 255, /* NAME_MAX */
        ENTRY_DEPTH_MAX = 128,     /* directories above an entry: a tree is walked with a descriptor for each */
        ENTRY_SHOWN_BYTES = 100
};

enum entry_type {
        ENTRY_FILE,
        ENTRY_DIRECTORY,
        ENTRY_SYMLINK,
        ENTRY_HARDLINK,
        ENTRY_OTHER /* devices, FIFOs, sockets and unknown types */
};

/* An entry as it is in the archive. */
struct entry {
        const char *name;
        const char *target; /* of a link, else NULL */
        enum entry_type type;
        const char *what; /* of an ENTRY_OTHER, for the message: "a device" */
        uint32_t mode;    /* permission bits, set-id and sticky included */
        uint64_t bytes;   /* logical, holes included */
        int64_t modified_s;
};

/* Normalises a name: no "./", no doubled or trailing slashes; "" for the root itself. FAULT_IMAGE_REFUSED with the
 * entry's name when it is absolute, has "..", or is too long or too deep. */
__attribute__((warn_unused_result)) int entry_path(const char *name, char ret_path[static ENTRY_PATH_BYTES],
                                                   struct fault *why);

/* Whether the entry may be unpacked: a file, a directory, a symbolic link that does not lead out of the root, or a hard
 * link to a name inside. An absolute symbolic link refers to a path inside the carrel, and is kept. *ret_target is that
 * of a hard link, as entry_path gives it; else "". FAULT_IMAGE_REFUSED. */
__attribute__((warn_unused_result)) int entry_judge(const struct entry *entry, const char *path,
                                                    char ret_target[static ENTRY_PATH_BYTES], struct fault *why);

/* The mode for unpacking: readable and executable as in the archive, writable by the owner only, no set-id and no
 * sticky bit. */
uint32_t entry_mode(const struct entry *entry);

/* A mark in a layer that removes files of the layers below (OCI image specification, "Whiteouts"). */
enum whiteout { WHITEOUT_NONE, WHITEOUT_ONE, WHITEOUT_ALL, WHITEOUT_IGNORED };
/* *ret_path: the removed path (WHITEOUT_ONE) or the directory to empty (WHITEOUT_ALL). */
enum whiteout entry_whiteout(const char *path, char ret_path[static ENTRY_PATH_BYTES]);

/* Makes an outside name safe for a message: shortened, and without characters that a terminal interprets. */
void entry_show(const char *name, char ret_text[static ENTRY_SHOWN_BYTES]);
