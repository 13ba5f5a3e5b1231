#include "slot-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock.h"
#include "scope.h"

/* A process that loses the daemon's lock loses this one at the same moment. */
enum { LOCK_PATIENCE_MS = 1000 };
enum { BOOT_ID_BYTES = 40, MAGIC_BYTES = 16, FILE_MODE = 0600 };

struct header {
        char magic[MAGIC_BYTES];
        char boot_id[BOOT_ID_BYTES];
        uint64_t words[SLOT_FILE_WORDS];
};

_Static_assert(sizeof(struct header) == 128, "the file's layout has no padding");

struct slot_file {
        const struct slot_file_format *format;
        int fd;
        struct header *map; /* the slots follow it */
        int n_slots;
        int *free_slots; /* a stack, room for n_slots */
        int n_free;
};

uint64_t slot_checksum(const void *bytes, size_t length)
{
        const unsigned char *at = bytes;
        uint64_t sum = 14695981039346656037u;

        for (size_t i = 0; i < length; i++)
                sum = (sum ^ at[i]) * 1099511628211u;
        return sum;
}

static size_t bytes_for(const struct slot_file *file, int n_slots)
{
        return sizeof(struct header) + (size_t)n_slots * file->format->slot_bytes;
}

void *slot_file_at(const struct slot_file *file, int number)
{
        return (char *)file->map + bytes_for(file, number);
}

uint64_t *slot_file_words(const struct slot_file *file)
{
        return file->map->words;
}

static int read_boot_id(char ret_id[static BOOT_ID_BYTES])
{
        AUTO(auto_fclose) FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

        if (file == NULL || fgets(ret_id, BOOT_ID_BYTES, file) == NULL)
                return -EIO;
        ret_id[strcspn(ret_id, "\n")] = '\0';
        return 0;
}

/* posix_fallocate first: on a full tmpfs it fails, where the first store would raise SIGBUS. */
static int map_slots(struct slot_file *file, int n_slots)
{
        int *free_slots;
        void *map;
        int r;

        if (n_slots > file->format->slots_max)
                return -ENOSPC;
        r = posix_fallocate(file->fd, 0, (off_t)bytes_for(file, n_slots));
        if (r != 0)
                return -r;
        free_slots = reallocarray(file->free_slots, (size_t)n_slots, sizeof *free_slots);
        if (free_slots == NULL)
                return -ENOMEM;
        file->free_slots = free_slots;
        map = file->map == NULL
                      ? mmap(NULL, bytes_for(file, n_slots), PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0)
                      : mremap(file->map, bytes_for(file, file->n_slots), bytes_for(file, n_slots), MREMAP_MAYMOVE);
        if (map == MAP_FAILED)
                return -errno;
        file->map = map;
        file->n_slots = n_slots;
        return 0;
}

static int grow(struct slot_file *file)
{
        int before = file->n_slots;
        int wanted = 2 * before < file->format->slots_max ? 2 * before : file->format->slots_max;
        int r = before >= wanted ? -ENOSPC : map_slots(file, wanted);

        for (int i = wanted - 1; r == 0 && i >= before; i--)
                file->free_slots[file->n_free++] = i;
        return r;
}

static int open_file(struct slot_file *file, const char *runtime_dir, const char *pool, struct fault *why)
{
        AUTO(auto_free) char *path = NULL;
        int r;

        if (asprintf(&path, "%s/%s.%s", runtime_dir, pool, file->format->what) < 0) {
                path = NULL;
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        file->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (file->fd < 0)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "cannot open %s: %s", path, strerrordesc_np(errno));
        r = lock_exclusive(file->fd, LOCK_PATIENCE_MS);
        if (r < 0)
                return fault_set(why, FAULT_SETTING_INVALID, -r, "another carreld of pool %s holds %s", pool, path);
        return 0;
}

static bool is_ours(const struct slot_file *file, const char *boot_id)
{
        char magic[MAGIC_BYTES] = "";

        (void)snprintf(magic, sizeof magic, "%s", file->format->magic);
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): mapped by then */
        return memcmp(file->map->magic, magic, sizeof magic) == 0 &&
               strncmp(file->map->boot_id, boot_id, BOOT_ID_BYTES) == 0;
}

/* Writes the boot id last, so that a torn header never has that of this boot. */
static void start_afresh(struct slot_file *file, const char *boot_id)
{
        memset(file->map, 0, bytes_for(file, file->n_slots));
        (void)snprintf(file->map->magic, sizeof file->map->magic, "%s", file->format->magic);
        (void)snprintf(file->map->boot_id, sizeof file->map->boot_id, "%s", boot_id);
}

/* An incomplete last slot does not count: a new one replaces it. */
static int count_slots(const struct slot_file *file, off_t length)
{
        int64_t n_slots = (length - (int64_t)sizeof(struct header)) / (int64_t)file->format->slot_bytes;

        if (n_slots < file->format->slots_first)
                return file->format->slots_first;
        return (int)(n_slots < file->format->slots_max ? n_slots : file->format->slots_max);
}

static int load(struct slot_file *file, const char *boot_id, struct fault *why)
{
        char kernel_boot_id[BOOT_ID_BYTES] = "";
        struct stat status;
        int r = boot_id == NULL ? read_boot_id(kernel_boot_id) : 0;

        if (boot_id == NULL)
                boot_id = kernel_boot_id;
        if (r == 0 && fstat(file->fd, &status) < 0)
                r = -errno;
        if (r == 0)
                r = map_slots(file, count_slots(file, status.st_size));
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot map the %s: %s", file->format->what,
                                 strerrordesc_np(-r));
        if (!is_ours(file, boot_id))
                start_afresh(file, boot_id);
        return 0;
}

int slot_file_open(struct slot_file **ret_file, const struct slot_file_format *format, const char *runtime_dir,
                   const char *pool, const char *boot_id, struct fault *why)
{
        struct slot_file *file = calloc(1, sizeof *file);
        int r;

        if (file == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        file->format = format;
        file->fd = -1;
        r = open_file(file, runtime_dir, pool, why);
        if (r == 0)
                r = load(file, boot_id, why);
        if (r < 0) {
                slot_file_close(file);
                return r;
        }
        *ret_file = file;
        return 0;
}

struct slot_file *slot_file_close(struct slot_file *file)
{
        if (file == NULL)
                return NULL;
        if (file->map != NULL)
                (void)munmap(file->map, bytes_for(file, file->n_slots));
        if (file->fd >= 0)
                close(file->fd);
        free(file->free_slots);
        free(file);
        return NULL;
}

/* From the last to the first, so that the first is taken first. */
void slot_file_sift(struct slot_file *file, bool (*is_kept)(void *arg, int number), void *arg)
{
        for (int i = file->n_slots - 1; i >= 0; i--)
                if (!is_kept(arg, i))
                        slot_file_give(file, i);
}

int slot_file_take(struct slot_file *file)
{
        int r = file->n_free == 0 ? grow(file) : 0;
        int number;

        if (r < 0)
                return r;
        number = file->free_slots[--file->n_free];
        /* The file may have ended inside this slot when it was opened. */
        memset(slot_file_at(file, number), 0, file->format->slot_bytes);
        return number;
}

void slot_file_give(struct slot_file *file, int number)
{
        memset(slot_file_at(file, number), 0, file->format->slot_bytes);
        file->free_slots[file->n_free++] = number;
}
