/* Records the jobs in a file that outlives carreld (slot-file.h). A job is entered before any work for it, marked
 * before its program may run, and its end is written before it is reported. So after a kill at any moment, the next
 * carreld does not forget a job, run it twice, or report another end. Output is not kept. Every function ignores a NULL
 * registry or a negative slot. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "exec.h"
#include "fault.h"
#include "jobs.h"
#include "pool.h"

struct job_registry;

enum { JOB_PROGRAM_BYTES = 48, JOB_MESSAGE_BYTES = 256 };

/* The report about a finished exec. */
struct job_end {
        enum job_state state; /* JOB_ENDED or JOB_FAILED */
        uint64_t seq;         /* of its last event */
        int64_t ended_ms;     /* CLOCK_BOOTTIME */
        /* JOB_ENDED */
        enum exec_cause cause;
        int exit_code, signal;
        double duration_s;
        struct exec_usage usage;
        bool is_output_lost, is_errors_lost; /* there was output, or it had been cut */
        /* JOB_FAILED */
        enum fault_kind kind;
        int err;
        unsigned retry_after_s;
        char message[JOB_MESSAGE_BYTES];
};

struct job_entry {
        char exec_id[EXEC_ID_BYTES];
        char user[USER_ID_MAX + 1];
        char program[JOB_PROGRAM_BYTES]; /* UTF-8; cut */
        unsigned char digest[JOB_DIGEST_BYTES];
        bool is_detached;
        int64_t created_ms;   /* CLOCK_BOOTTIME */
        uint64_t launched_in; /* generation of the carrel that it was started in; 0: it was not started */
        uint64_t next_seq;    /* no event has this number or a higher one */
        bool has_end;
        struct job_end end;
};

/* Opens <runtime_dir>/<pool>.execs; boot_id and errors as of slot_file_open. */
int job_registry_open(struct job_registry **ret_registry, const char *runtime_dir, const char *pool,
                      const char *boot_id, struct fault *why);
/* The entries stay in the file. */
struct job_registry *job_registry_close(struct job_registry *registry);

/* Call it once, before job_registry_enter. Calls keep for every valid entry of an earlier process; times are at most
 * now_ms. keep returns false to forget the entry. */
void job_registry_recall(struct job_registry *registry, int64_t now_ms,
                         bool (*keep)(void *arg, int slot, const struct job_entry *entry), void *arg);

/* Enters a job: exec_id, user, program, digest, is_detached and created_ms. 0, -ENOSPC or -ENOMEM; after an error the
 * job must not be started. Without a registry *ret_slot is -1. */
__attribute__((warn_unused_result)) int job_registry_enter(struct job_registry *registry, const struct job_entry *entry,
                                                           int *ret_slot);
/* Call it before the program may run. generation 0: it has not run after all. */
void job_registry_launch(struct job_registry *registry, int slot, uint64_t generation);
void job_registry_progress(struct job_registry *registry, int slot, uint64_t next_seq);
void job_registry_end(struct job_registry *registry, int slot, const struct job_end *end);
void job_registry_forget(struct job_registry *registry, int slot);
