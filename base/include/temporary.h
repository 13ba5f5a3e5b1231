/* A temporary file without a name: gone with its last descriptor, whatever happens. */
#pragma once

/* Open for reading and writing (0600, CLOEXEC), in a directory of the file system that is to hold it. The descriptor,
 * or a negative errno. */
int temporary_open(const char *directory);
