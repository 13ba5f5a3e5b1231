#include "job-registry.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
#include "slot-file.h"
#include "user-id.h"
#include "utf8.h"

/* Event numbers are JSON numbers; above this a double is not exact. */
static const uint64_t SEQ_MAX = (uint64_t)1 << 53;

/* A slot has three parts, which are written separately: the identity (valid with its checksum), two words that are
 * single aligned stores, and the end (valid with its own checksum). A killed process leaves each part old, new or torn;
 * a torn part was never reported. */
struct slot {
        char exec_id[72]; /* "": free */
        char user[72];
        char program[JOB_PROGRAM_BYTES];
        unsigned char digest[JOB_DIGEST_BYTES];
        int64_t created_ms;
        uint64_t is_detached;
        uint64_t checksum;

        uint64_t launched_in;
        uint64_t next_seq;

        int64_t ended_ms;
        uint64_t seq;
        double duration_s;
        int32_t state, cause, exit_code, signal;
        int32_t kind, err;
        uint32_t retry_after_s;
        uint32_t lost; /* bit 0: stdout, bit 1: stderr */
        char message[JOB_MESSAGE_BYTES];
        uint64_t end_checksum;
};

_Static_assert(sizeof(struct slot) == 584, "the file's layout has no padding");

static const struct slot_file_format FORMAT = {
        .magic = "carrel-execs-1",
        .what = "execs",
        .slot_bytes = sizeof(struct slot),
        .slots_first = 64,
        .slots_max = 1 << 18,
};

/* Of an exec with a result, the end of `message`: the file keeps its layout, so that an upgrade keeps the records. */
struct slot_usage {
        uint64_t mark; /* USAGE_MARK, else this is not usage; it is no text */
        uint64_t user_us, system_us, peak_bytes;
};
static const uint64_t USAGE_MARK = 0x0165676173755f01;
enum { USAGE_AT = JOB_MESSAGE_BYTES - sizeof(struct slot_usage) };

struct job_registry {
        struct slot_file *file;
};

int job_registry_open(struct job_registry **ret_registry, const char *runtime_dir, const char *pool,
                      const char *boot_id, struct fault *why)
{
        struct job_registry *registry = calloc(1, sizeof *registry);
        int r;

        if (registry == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = slot_file_open(&registry->file, &FORMAT, runtime_dir, pool, boot_id, why);
        if (r < 0) {
                job_registry_close(registry);
                return r;
        }
        *ret_registry = registry;
        return 0;
}

struct job_registry *job_registry_close(struct job_registry *registry)
{
        if (registry != NULL)
                slot_file_close(registry->file);
        free(registry);
        return NULL;
}

static uint64_t checksum_of(const struct slot *slot)
{
        return slot_checksum(slot, offsetof(struct slot, checksum));
}

/* Covers the exec id too, so that the end of another exec is not valid. */
static uint64_t end_checksum_of(const struct slot *slot)
{
        return slot->checksum ^
               slot_checksum(&slot->ended_ms, offsetof(struct slot, end_checksum) - offsetof(struct slot, ended_ms));
}

/* The mark that makes a part of the slot valid, or void, is stored after the part. A killed process has done its stores
 * in program order, so only the compiler must not reorder them. */
static void seal(uint64_t *word, uint64_t value)
{
        __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void hit(const char *step, const char *moment)
{
        (void)failpoint_hit("registry", step, moment);
}

/* ---- what was left ---- */

static bool is_text(const char *text, size_t size)
{
        const char *end = memchr(text, '\0', size);

        return end != NULL && utf8_is_text(text, (size_t)(end - text));
}

static bool is_sound(const struct slot *slot)
{
        return is_text(slot->exec_id, EXEC_ID_BYTES) && exec_id_is_valid(slot->exec_id) &&
               is_text(slot->user, USER_ID_MAX + 1) && user_id_is_valid(slot->user) &&
               is_text(slot->program, sizeof slot->program) && slot->checksum == checksum_of(slot);
}

static bool has_sound_end(const struct slot *slot)
{
        if (slot->end_checksum != end_checksum_of(slot) || slot->seq >= SEQ_MAX || !isfinite(slot->duration_s) ||
            !is_text(slot->message, sizeof slot->message))
                return false;
        if (slot->state == JOB_ENDED)
                return slot->cause >= 0 && slot->cause < EXEC_CAUSES;
        return slot->state == JOB_FAILED && slot->kind > FAULT_NONE && slot->kind < FAULT_KINDS;
}

static int64_t not_after(int64_t time_ms, int64_t now_ms)
{
        return time_ms < now_ms ? time_ms : now_ms;
}

static void read_usage(const struct slot *slot, struct exec_usage *ret_usage)
{
        struct slot_usage usage;

        memcpy(&usage, slot->message + USAGE_AT, sizeof usage);
        if (slot->state == JOB_ENDED && usage.mark == USAGE_MARK)
                *ret_usage = (struct exec_usage){ true, usage.user_us, usage.system_us, usage.peak_bytes };
}

/* The message of a result is cut to make room. */
static void write_usage(struct slot *slot, const struct exec_usage *usage)
{
        struct slot_usage target = { 0 };

        if (usage->is_known)
                target = (struct slot_usage){ USAGE_MARK, usage->user_us, usage->system_us, usage->peak_bytes };
        memcpy(slot->message + USAGE_AT, &target, sizeof target);
}

static void read_end(const struct slot *slot, int64_t now_ms, struct job_end *ret_end)
{
        *ret_end = (struct job_end){
                .state = (enum job_state)slot->state,
                .seq = slot->seq,
                .ended_ms = not_after(slot->ended_ms, now_ms),
                .cause = (enum exec_cause)slot->cause,
                .exit_code = slot->exit_code,
                .signal = slot->signal,
                .duration_s = slot->duration_s,
                .is_output_lost = (slot->lost & 1) != 0,
                .is_errors_lost = (slot->lost & 2) != 0,
                .kind = (enum fault_kind)slot->kind,
                .err = slot->err,
                .retry_after_s = slot->retry_after_s,
        };
        (void)snprintf(ret_end->message, sizeof ret_end->message, "%s", slot->message);
        read_usage(slot, &ret_end->usage);
}

static bool read_slot(const struct slot *slot, int64_t now_ms, struct job_entry *ret_entry)
{
        if (!is_sound(slot))
                return false;
        *ret_entry = (struct job_entry){
                .is_detached = slot->is_detached != 0,
                .created_ms = not_after(slot->created_ms, now_ms),
                .launched_in = slot->launched_in,
                .next_seq = slot->next_seq < SEQ_MAX ? slot->next_seq : SEQ_MAX - 1,
                .has_end = has_sound_end(slot),
        };
        memcpy(ret_entry->exec_id, slot->exec_id, sizeof ret_entry->exec_id);
        memcpy(ret_entry->user, slot->user, sizeof ret_entry->user);
        memcpy(ret_entry->program, slot->program, sizeof ret_entry->program);
        memcpy(ret_entry->digest, slot->digest, sizeof ret_entry->digest);
        if (ret_entry->has_end)
                read_end(slot, now_ms, &ret_entry->end);
        return true;
}

struct recall {
        struct job_registry *registry;
        int64_t now_ms;
        bool (*keep)(void *arg, int slot, const struct job_entry *entry);
        void *arg;
};

static bool recall(void *arg, int number)
{
        const struct recall *recall = arg;
        struct job_entry entry;

        return read_slot(slot_file_at(recall->registry->file, number), recall->now_ms, &entry) &&
               recall->keep(recall->arg, number, &entry);
}

void job_registry_recall(struct job_registry *registry, int64_t now_ms,
                         bool (*keep)(void *arg, int slot, const struct job_entry *entry), void *arg)
{
        struct recall all = { registry, now_ms, keep, arg };

        if (registry != NULL)
                slot_file_sift(registry->file, recall, &all);
}

/* ---- what is written ---- */

static struct slot *slot_at(const struct job_registry *registry, int slot)
{
        return registry == NULL || slot < 0 ? NULL : slot_file_at(registry->file, slot);
}

/* Cut at a character; a byte that is not part of one becomes '?'. */
static void write_text(char *target, size_t size, const char *text)
{
        size_t length = strlen(text);

        if (length > size - 1)
                length = size - 1;
        length -= utf8_unfinished(text, length);
        memcpy(target, text, length);
        target[length] = '\0';
        utf8_mend(target);
}

int job_registry_enter(struct job_registry *registry, const struct job_entry *entry, int *ret_slot)
{
        int number = registry == NULL ? -1 : slot_file_take(registry->file);
        struct slot *slot;

        *ret_slot = number < 0 ? -1 : number;
        if (number < 0)
                return registry == NULL ? 0 : number;
        slot = slot_at(registry, number);
        hit("enter", "before");
        write_text(slot->exec_id, sizeof slot->exec_id, entry->exec_id);
        write_text(slot->user, sizeof slot->user, entry->user);
        write_text(slot->program, sizeof slot->program, entry->program);
        memcpy(slot->digest, entry->digest, sizeof slot->digest);
        slot->created_ms = entry->created_ms;
        slot->is_detached = entry->is_detached;
        hit("enter", "torn");
        seal(&slot->checksum, checksum_of(slot));
        hit("enter", "after");
        return 0;
}

void job_registry_launch(struct job_registry *registry, int number, uint64_t generation)
{
        struct slot *slot = slot_at(registry, number);

        if (slot == NULL)
                return;
        hit("launch", "before");
        seal(&slot->launched_in, generation);
        hit("launch", "after");
}

void job_registry_progress(struct job_registry *registry, int number, uint64_t next_seq)
{
        struct slot *slot = slot_at(registry, number);

        if (slot != NULL)
                __atomic_store_n(&slot->next_seq, next_seq, __ATOMIC_RELAXED);
}

void job_registry_end(struct job_registry *registry, int number, const struct job_end *end)
{
        struct slot *slot = slot_at(registry, number);

        if (slot == NULL)
                return;
        hit("end", "before");
        slot->ended_ms = end->ended_ms;
        slot->seq = end->seq;
        slot->duration_s = end->duration_s;
        slot->state = (int32_t)end->state;
        slot->cause = (int32_t)end->cause;
        slot->exit_code = end->exit_code;
        slot->signal = end->signal;
        slot->kind = (int32_t)end->kind;
        slot->err = end->err;
        slot->retry_after_s = end->retry_after_s;
        slot->lost = (end->is_output_lost ? 1U : 0) | (end->is_errors_lost ? 2U : 0);
        write_text(slot->message, end->state == JOB_ENDED ? USAGE_AT : sizeof slot->message, end->message);
        if (end->state == JOB_ENDED)
                write_usage(slot, &end->usage);
        hit("end", "torn");
        seal(&slot->end_checksum, end_checksum_of(slot));
        hit("end", "after");
}

void job_registry_forget(struct job_registry *registry, int number)
{
        struct slot *slot = slot_at(registry, number);

        if (slot == NULL)
                return;
        hit("forget", "before");
        /* Invalidates the identity first: a slot without its end would count as a job that ran. */
        seal(&slot->checksum, 0);
        hit("forget", "torn");
        slot_file_give(registry->file, number);
        hit("forget", "after");
}
