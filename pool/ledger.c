#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lock.h"
#include "scope.h"
#include "str.h"
#include "user-id.h"

#define MAGIC "carrel-ledger-1"
#define LEASE_MAX_MS 86400000

/* Whoever left the daemon's lock behind leaves this one in the same moment. */
enum { LOCK_PATIENCE_MS = 1000 };
enum { BOOT_ID_BYTES = 40, SLOTS_FIRST = 64, SLOTS_MAX = 1 << 22, FILE_MODE = 0600 };

struct header {
        char magic[16];
        char boot_id[BOOT_ID_BYTES];
        uint64_t generation_floor;
        uint64_t reserved[8];
};

/* The checksum covers what is written once, at the claim. The times change with every use and are single aligned words:
 * a process that is killed leaves the old one or the new one (only this machine's CPU reads them back). */
struct slot {
        char user[USER_ID_MAX + 8]; /* "": free */
        uint64_t generation;
        uint64_t checksum;
        int64_t last_use_ms;
        int64_t lease_until_ms;
        uint64_t reserved[3];
};

_Static_assert(sizeof(struct header) == 128 && sizeof(struct slot) == 128, "the file's layout has no padding");

struct recalled {
        int slot;
        UT_hash_handle hh;
        char user[USER_ID_MAX + 1];
};

struct ledger {
        int fd;
        struct header *map; /* the slots follow it */
        int n_slots;
        int *free_slots; /* a stack, room for n_slots */
        int n_free;
        struct recalled *recalled;
};

static struct slot *slot_at(const struct ledger *ledger, int number)
{
        return (struct slot *)(void *)(ledger->map + 1) + number;
}

static size_t bytes_for(int n_slots)
{
        return sizeof(struct header) + (size_t)n_slots * sizeof(struct slot);
}

static int64_t bound(int64_t value, int64_t least, int64_t most)
{
        if (value < least)
                return least;
        return value > most ? most : value;
}

/* FNV-1a: against tearing, not against malice; the directory is root's. */
static uint64_t checksum_of(const struct slot *slot)
{
        const unsigned char *bytes = (const unsigned char *)slot;
        uint64_t sum = 14695981039346656037u;

        for (size_t i = 0; i < offsetof(struct slot, checksum); i++)
                sum = (sum ^ bytes[i]) * 1099511628211u;
        return sum;
}

static bool is_sound(const struct slot *slot)
{
        return memchr(slot->user, '\0', sizeof slot->user) != NULL && user_id_is_valid(slot->user) &&
               slot->checksum == checksum_of(slot);
}

static int read_boot_id(char ret_id[static BOOT_ID_BYTES])
{
        AUTO(auto_fclose) FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

        if (file == NULL || fgets(ret_id, BOOT_ID_BYTES, file) == NULL)
                return -EIO;
        ret_id[strcspn(ret_id, "\n")] = '\0';
        return 0;
}

/* Grows to n_slots. posix_fallocate first: a full tmpfs is an error here, and would be a SIGBUS at the first store. */
static int grow(struct ledger *ledger, int n_slots)
{
        int *free_slots;
        void *map;
        int err;

        if (n_slots > SLOTS_MAX)
                return -ENOSPC;
        err = posix_fallocate(ledger->fd, 0, (off_t)bytes_for(n_slots));
        if (err != 0)
                return -err;
        free_slots = reallocarray(ledger->free_slots, (size_t)n_slots, sizeof *free_slots);
        if (free_slots == NULL)
                return -ENOMEM;
        ledger->free_slots = free_slots;
        map = ledger->map == NULL ? mmap(NULL, bytes_for(n_slots), PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, 0)
                                  : mremap(ledger->map, bytes_for(ledger->n_slots), bytes_for(n_slots), MREMAP_MAYMOVE);
        if (map == MAP_FAILED)
                return -errno;
        ledger->map = map;
        for (int i = n_slots - 1; i >= ledger->n_slots; i--)
                ledger->free_slots[ledger->n_free++] = i;
        ledger->n_slots = n_slots;
        return 0;
}

static int open_file(struct ledger *ledger, const char *runtime_dir, const char *pool, struct fault *why)
{
        AUTO(auto_free) char *path = NULL;
        int err;

        if (asprintf(&path, "%s/%s.ledger", runtime_dir, pool) < 0) {
                path = NULL;
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        ledger->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (ledger->fd < 0)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "cannot open %s: %s", path, strerrordesc_np(errno));
        err = lock_exclusive(ledger->fd, LOCK_PATIENCE_MS);
        if (err < 0)
                return fault_set(why, FAULT_SETTING_INVALID, -err, "another carreld of pool %s holds %s", pool, path);
        return 0;
}

static bool is_of_this_boot(const struct ledger *ledger, const char *boot_id)
{
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): mapped by then */
        return memcmp(ledger->map->magic, MAGIC, sizeof MAGIC) == 0 &&
               strncmp(ledger->map->boot_id, boot_id, BOOT_ID_BYTES) == 0;
}

static void raise_floor(struct ledger *ledger, uint64_t generation)
{
        if (generation > ledger->map->generation_floor)
                ledger->map->generation_floor = generation;
}

/* true: the slot stays as it is, for its user. */
static bool remember(struct ledger *ledger, int number)
{
        const struct slot *slot = slot_at(ledger, number);
        struct recalled *recalled;

        if (!is_sound(slot))
                return false;
        raise_floor(ledger, slot->generation);
        HASH_FIND_STR(ledger->recalled, slot->user, recalled);
        if (recalled != NULL)
                return false;
        recalled = calloc(1, sizeof *recalled);
        if (recalled == NULL)
                return false;
        recalled->slot = number;
        memcpy(recalled->user, slot->user, sizeof recalled->user);
        HASH_ADD_STR(ledger->recalled, user, recalled);
        if (recalled->hh.tbl != NULL)
                return true;
        free(recalled);
        return false;
}

static void read_slots(struct ledger *ledger)
{
        ledger->n_free = 0;
        for (int i = ledger->n_slots - 1; i >= 0; i--) {
                if (remember(ledger, i))
                        continue;
                *slot_at(ledger, i) = (struct slot){ 0 };
                ledger->free_slots[ledger->n_free++] = i;
        }
}

/* The boot id is written last: a header that was torn is not of this boot. */
static void start_afresh(struct ledger *ledger, const char *boot_id)
{
        memset(ledger->map, 0, bytes_for(ledger->n_slots));
        memcpy(ledger->map->magic, MAGIC, sizeof MAGIC);
        (void)snprintf(ledger->map->boot_id, sizeof ledger->map->boot_id, "%s", boot_id);
}

static int load(struct ledger *ledger, const char *boot_id, struct fault *why)
{
        char kernel_boot_id[BOOT_ID_BYTES] = "";
        struct stat status;
        int n_slots = SLOTS_FIRST;
        int err = boot_id == NULL ? read_boot_id(kernel_boot_id) : 0;

        if (boot_id == NULL)
                boot_id = kernel_boot_id;
        if (err == 0 && fstat(ledger->fd, &status) < 0)
                err = -errno;
        if (err == 0 && (size_t)status.st_size > bytes_for(n_slots))
                n_slots = (int)bound((status.st_size - (int64_t)sizeof(struct header)) / (int64_t)sizeof(struct slot),
                                     SLOTS_FIRST, SLOTS_MAX);
        if (err == 0)
                err = grow(ledger, n_slots);
        if (err < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -err, "cannot map the ledger: %s",
                                 strerrordesc_np(-err));
        if (!is_of_this_boot(ledger, boot_id))
                start_afresh(ledger, boot_id);
        read_slots(ledger);
        return 0;
}

int ledger_open(struct ledger **ret_ledger, const char *runtime_dir, const char *pool, const char *boot_id,
                struct fault *why)
{
        struct ledger *ledger = calloc(1, sizeof *ledger);
        int err;

        if (ledger == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        ledger->fd = -1;
        err = open_file(ledger, runtime_dir, pool, why);
        if (err == 0)
                err = load(ledger, boot_id, why);
        if (err < 0) {
                ledger_close(ledger);
                return err;
        }
        *ret_ledger = ledger;
        return 0;
}

static void drop_recalled(struct ledger *ledger, struct recalled *recalled)
{
        HASH_DEL(ledger->recalled, recalled);
        free(recalled);
}

struct ledger *ledger_close(struct ledger *ledger)
{
        struct recalled *recalled;
        struct recalled *next;

        if (ledger == NULL)
                return NULL;
        HASH_ITER(hh, ledger->recalled, recalled, next)
        drop_recalled(ledger, recalled);
        if (ledger->map != NULL)
                (void)munmap(ledger->map, bytes_for(ledger->n_slots));
        if (ledger->fd >= 0)
                close(ledger->fd);
        free(ledger->free_slots);
        free(ledger);
        return NULL;
}

void ledger_set_generation(struct ledger *ledger, int slot, uint64_t generation)
{
        struct slot *at;

        if (slot < 0)
                return;
        at = slot_at(ledger, slot);
        raise_floor(ledger, at->generation);
        at->generation = generation;
        at->checksum = checksum_of(at);
}

int ledger_claim(struct ledger *ledger, const char *user, uint64_t generation)
{
        struct recalled *recalled;
        int slot;
        int err;

        HASH_FIND_STR(ledger->recalled, user, recalled);
        if (recalled != NULL) {
                slot = recalled->slot;
                drop_recalled(ledger, recalled);
        } else {
                err = ledger->n_free == 0 ? grow(ledger, 2 * ledger->n_slots) : 0;
                if (err < 0)
                        return err;
                slot = ledger->free_slots[--ledger->n_free];
                (void)snprintf(slot_at(ledger, slot)->user, sizeof slot_at(ledger, slot)->user, "%s", user);
        }
        ledger_set_generation(ledger, slot, generation);
        return slot;
}

void ledger_release(struct ledger *ledger, int slot)
{
        if (slot < 0)
                return;
        raise_floor(ledger, slot_at(ledger, slot)->generation);
        *slot_at(ledger, slot) = (struct slot){ 0 };
        ledger->free_slots[ledger->n_free++] = slot;
}

void ledger_set_times(struct ledger *ledger, int slot, int64_t last_use_ms, int64_t lease_until_ms)
{
        if (slot < 0)
                return;
        slot_at(ledger, slot)->last_use_ms = last_use_ms;
        slot_at(ledger, slot)->lease_until_ms = lease_until_ms;
}

bool ledger_recall(const struct ledger *ledger, const char *user, int64_t now_ms, struct ledger_entry *ret_entry)
{
        const struct slot *slot;
        const struct recalled *recalled;

        HASH_FIND_STR(ledger->recalled, user, recalled);
        if (recalled == NULL)
                return false;
        slot = slot_at(ledger, recalled->slot);
        ret_entry->generation = slot->generation;
        ret_entry->last_use_ms = bound(slot->last_use_ms, 0, now_ms);
        ret_entry->lease_until_ms = bound(slot->lease_until_ms, 0, now_ms + LEASE_MAX_MS);
        return true;
}

void ledger_forget_recalled(struct ledger *ledger)
{
        struct recalled *recalled;
        struct recalled *next;

        HASH_ITER(hh, ledger->recalled, recalled, next)
        {
                ledger_release(ledger, recalled->slot);
                drop_recalled(ledger, recalled);
        }
}

uint64_t ledger_generation_floor(const struct ledger *ledger)
{
        return ledger->map->generation_floor;
}
