/* A mapped file of fixed slots, for the runtime directory (tmpfs). A change costs one store to memory; the file
 * survives kill -9 and is void after a reboot. The owner defines the contents of a slot and must check that it is
 * whole: a process that is killed while it writes leaves a torn slot. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct slot_file;

enum { SLOT_FILE_WORDS = 9 };

struct slot_file_format {
        const char *magic; /* at most 15 bytes; the slots of a file with another magic are void */
        const char *what;  /* "ledger", for messages */
        size_t slot_bytes; /* a multiple of 8 */
        int slots_first, slots_max;
};

/* Opens or creates <runtime_dir>/<pool>.<what>, and locks it for the life of the process: a second carreld of this pool
 * gets -EWOULDBLOCK. boot_id NULL: the kernel's (/proc/sys/kernel/random/boot_id, random(4)). All slots count as taken
 * until slot_file_sift. format is borrowed. */
int slot_file_open(struct slot_file **ret_file, const struct slot_file_format *format, const char *runtime_dir,
                   const char *pool, const char *boot_id, struct fault *why);
struct slot_file *slot_file_close(struct slot_file *file);

/* Call it once, after opening. Slots for which is_kept returns true stay taken; the others are emptied. */
void slot_file_sift(struct slot_file *file, bool (*is_kept)(void *arg, int number), void *arg);

/* Takes an empty slot (all bytes 0); the file grows if there is no free one. Its number, -ENOSPC or -ENOMEM. */
int slot_file_take(struct slot_file *file);
/* Empties and frees the slot. */
void slot_file_give(struct slot_file *file, int number);
/* The slot's memory, valid until the next slot_file_take. */
void *slot_file_at(const struct slot_file *file, int number);
/* SLOT_FILE_WORDS words in the file's header, for its owner; 0 in a new file. Valid until the next slot_file_take. */
uint64_t *slot_file_words(const struct slot_file *file);

/* FNV-1a. It detects torn slots; it need not resist attackers, because the directory is root's. */
uint64_t slot_checksum(const void *bytes, size_t length);
