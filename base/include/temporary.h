/* A temporary file without a name: the kernel removes it with its last descriptor. */
#pragma once

/* Opens one for reading and writing (0600, CLOEXEC) on the directory's file system. The descriptor, or a negative
 * errno. */
int temporary_open(const char *directory);
