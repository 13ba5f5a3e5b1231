#include "calls.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "user", "user", FIELD_TEXT },
        { "state", "state", FIELD_TEXT },
        { "step", "step", FIELD_TEXT },
        { "container", "container", FIELD_TEXT },
        { "container id", "container_id", FIELD_TEXT },
        { "generation", "generation", FIELD_TEXT },
        { "engine", "engine", FIELD_TEXT },
        { "image", "image", FIELD_TEXT },
        { "profile", "profile", FIELD_TEXT },
        { "policy", "policy", FIELD_TEXT },
        { "memory", "limits.memory", FIELD_BYTES },
        { "cpus", "limits.cpus", FIELD_TEXT },
        { "pids", "limits.pids", FIELD_TEXT },
        { "address", "address", FIELD_TEXT },
        { "started", "started_at", FIELD_TEXT },
        { "age", "age_s", FIELD_SECONDS },
        { "idle", "idle_s", FIELD_SECONDS },
        { "lease left", "lease_left_s", FIELD_SECONDS },
        { "execs", "execs", FIELD_TEXT },
        { "cpu used", "usage.cpu.usage_us", FIELD_MICROSECONDS },
        { "cpu throttled", "usage.cpu.throttled_us", FIELD_MICROSECONDS },
        { "memory used", "usage.memory.current_bytes", FIELD_BYTES },
        { "memory peak", "usage.memory.peak_bytes", FIELD_BYTES },
        { "oom kills", "usage.memory.oom_kills", FIELD_TEXT },
        { "pids used", "usage.pids.current", FIELD_TEXT },
        { "net received", "usage.net.received_bytes", FIELD_BYTES },
        { "net sent", "usage.net.sent_bytes", FIELD_BYTES },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        return cli_show_carrel(cli, operands[0], "", FIELDS);
}

const struct verb CMD_INSPECT = {
        .name = "inspect",
        .operands = "USER",
        .summary = "Show all details of one carrel",
        .help = "Exits 1 when the user has none; -q prints nothing.",
        .examples = "  carrel inspect ada\n  carrel inspect ada -o json",
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
