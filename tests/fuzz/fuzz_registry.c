/* The registry of execs as a killed carreld, a full disk or another program could leave it. The first bytes say which
 * entry is written. Then single bytes of the file are changed. Every recalled entry must be whole and in range. */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job-registry.h"
#include "user-id.h"
#include "utf8.h"

#define BOOT "11111111-2222-3333-4444-555555555555"
enum { NOW_MS = 1000, FIRST_BYTES = 8, CHANGE_BYTES = 3, FILE_BYTES = 128 + 3 * 584 };

/* On a tmpfs, as the registry is. */
static char directory[] = "/dev/shm/fuzz-registry.XXXXXX";
static char path[64];

static void clean_up(void)
{
        (void)unlink(path);
        (void)rmdir(directory);
}

static void check_end(const struct job_end *end)
{
        if ((end->state != JOB_ENDED && end->state != JOB_FAILED) || end->ended_ms > NOW_MS ||
            (unsigned)end->cause >= EXEC_CAUSES || (unsigned)end->kind >= FAULT_KINDS || !isfinite(end->duration_s) ||
            !utf8_is_text(end->message, strlen(end->message)))
                abort();
}

static bool check(void *arg, int slot, const struct job_entry *entry)
{
        (void)arg;
        if (slot < 0 || !exec_id_is_valid(entry->exec_id) || !user_id_is_valid(entry->user) ||
            !utf8_is_text(entry->program, strlen(entry->program)) || entry->created_ms > NOW_MS ||
            entry->next_seq > (uint64_t)1 << 53)
                abort();
        if (entry->has_end)
                check_end(&entry->end);
        return true;
}

static struct job_registry *open_registry(void)
{
        struct job_registry *registry = NULL;

        if (job_registry_open(&registry, directory, "fuzz", BOOT, NULL) < 0)
                abort();
        job_registry_recall(registry, NOW_MS, check, NULL);
        return registry;
}

static void write_entry(const uint8_t *how)
{
        struct job_registry *registry = open_registry();
        struct job_entry entry = { .exec_id = "e1", .user = "ada", .created_ms = how[0], .is_detached = how[1] & 1 };
        struct job_end end = {
                .state = how[2] & 1 ? JOB_ENDED : JOB_FAILED,
                .seq = how[3],
                .ended_ms = how[4],
                .cause = (enum exec_cause)(how[5] % EXEC_CAUSES),
                .kind = (enum fault_kind)(1 + how[5] % (FAULT_KINDS - 1)),
                .duration_s = how[6],
        };
        int slot = -1;

        memcpy(entry.program, how, FIRST_BYTES);
        memcpy(end.message, how, FIRST_BYTES);
        if (job_registry_enter(registry, &entry, &slot) < 0)
                abort();
        job_registry_launch(registry, slot, how[7]);
        job_registry_progress(registry, slot, how[3]);
        if (how[1] & 2)
                job_registry_end(registry, slot, &end);
        if (how[1] & 4)
                job_registry_forget(registry, slot);
        job_registry_close(registry);
}

static void change(const uint8_t *data, size_t size)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        for (; fd >= 0 && size >= CHANGE_BYTES; data += CHANGE_BYTES, size -= CHANGE_BYTES)
                if (pwrite(fd, data + 2, 1, (data[0] << 8 | data[1]) % FILE_BYTES) != 1)
                        abort();
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < FIRST_BYTES)
                return 0;
        if (path[0] == '\0') {
                if (mkdtemp(directory) == NULL || atexit(clean_up) != 0)
                        abort();
                (void)snprintf(path, sizeof path, "%s/fuzz.execs", directory);
        }
        (void)unlink(path);
        write_entry(data);
        change(data + FIRST_BYTES, size - FIRST_BYTES);
        write_entry(data); /* among what the damage left */
        return 0;
}
