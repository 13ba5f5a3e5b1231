/* Opens a path of the host that the settings name. An engine resolves such a path again, so only root may be able to
 * change a component of it. No link is followed. */
#pragma once

#include "fault.h"

enum host_path_kind {
        HOST_PATH_OWN,  /* a directory that is root's like its ancestors; made (0711) if it is absent */
        HOST_PATH_GIVEN /* a directory or a regular file of any owner, below such ancestors */
};

/* path: absolute, without "..". The root and every component before the last must be directories that belong to root
 * and that neither group nor others can write. setting: begins every message. Returns 0 and a descriptor (O_PATH), or a
 * negative errno. */
__attribute__((warn_unused_result)) int host_path_open(const char *setting, const char *path, enum host_path_kind kind,
                                                       int *ret_fd, struct fault *why);
