/* One entry of an archive, judged before anything is done with it. Pure; everything here is outside input. */
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
        ENTRY_OTHER /* devices, FIFOs, sockets, whatever comes */
};

/* As the archive has it. */
struct entry {
        const char *name;
        const char *target; /* of a link, else NULL */
        enum entry_type type;
        const char *what; /* of an ENTRY_OTHER, for the message: "a device" */
        uint32_t mode;    /* permission bits, set-id and sticky included */
        uint64_t bytes;   /* logical, holes included */
        int64_t modified_s;
};

/* A name without "./", doubled and trailing slashes; "" for the root itself. FAULT_IMAGE_REFUSED with the entry's name
 * when it is absolute, climbs ("..") or is too long or too deep. */
__attribute__((warn_unused_result)) int entry_path(const char *name, char ret_path[static ENTRY_PATH_BYTES],
                                                   struct fault *why);

/* Whether the entry may be unpacked at all: a file, a directory, a symbolic link that does not climb out of the root
 * (an absolute one means a place inside the carrel, and stays), or a hard link to a name inside. *ret_target is the
 * hard link's, as entry_path gives it; "" otherwise. FAULT_IMAGE_REFUSED. */
__attribute__((warn_unused_result)) int entry_judge(const struct entry *entry, const char *path,
                                                    char ret_target[static ENTRY_PATH_BYTES], struct fault *why);

/* The mode it gets: readable and executable as it was, writable by its owner alone, no set-id, no sticky bit. */
uint32_t entry_mode(const struct entry *entry);

/* A layer's mark that something of the layers below is gone (OCI image specification, "Whiteouts"). */
enum whiteout { WHITEOUT_NONE, WHITEOUT_ONE, WHITEOUT_ALL, WHITEOUT_IGNORED };
/* For WHITEOUT_ONE *ret_path is what is gone, for WHITEOUT_ALL the directory that is emptied. */
enum whiteout entry_whiteout(const char *path, char ret_path[static ENTRY_PATH_BYTES]);

/* A name from outside for a message: cut, and without what a terminal would act on. */
void entry_show(const char *name, char ret_text[static ENTRY_SHOWN_BYTES]);
