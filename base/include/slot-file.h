/* A file of fixed slots, mapped: a store to memory per change, kept through kill -9, void after a reboot. For the
 * runtime directory (tmpfs). The owner of the file decides what a slot holds and whether it is sound: one that was
 * being written when its process was killed is as torn as that process left it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct slot_file;

enum { SLOT_FILE_WORDS = 9 };

struct slot_file_format {
        const char *magic; /* at most 15 bytes; a file with another is another version's: its slots are void */
        const char *what;  /* "ledger", for messages */
        size_t slot_bytes; /* a multiple of 8 */
        int slots_first, slots_max;
};

/* Opens <runtime_dir>/<pool>.<what>, makes it if absent, and locks it for the life of the process: a second carreld of
 * this pool gets -EWOULDBLOCK. boot_id NULL: the kernel's (/proc/sys/kernel/random/boot_id, random(4)). All slots
 * are taken until slot_file_sift. format is borrowed. */
int slot_file_open(struct slot_file **ret_file, const struct slot_file_format *format, const char *runtime_dir,
                   const char *pool, const char *boot_id, struct fault *why);
struct slot_file *slot_file_close(struct slot_file *file);

/* Once, after opening: the slots that is_kept says are worth it stay taken, the others are emptied. */
void slot_file_sift(struct slot_file *file, bool (*is_kept)(void *arg, int number), void *arg);

/* An empty slot (all bytes 0); the file grows if all are in use. Its number, or -ENOSPC or -ENOMEM. */
int slot_file_take(struct slot_file *file);
/* Empties it. */
void slot_file_give(struct slot_file *file, int number);
/* Good until the next slot_file_take. */
void *slot_file_at(const struct slot_file *file, int number);
/* SLOT_FILE_WORDS words in the file's head, for its owner; 0 in a new file. Good until the next slot_file_take. */
uint64_t *slot_file_words(const struct slot_file *file);

/* FNV-1a: against tearing, not against malice; the directory is root's. */
uint64_t slot_checksum(const void *bytes, size_t length);
