#include <stdio.h>
#include <string.h>
#include <time.h>

#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct stats_values {
        struct option_number interval;
        bool is_watching;
};

static const double INTERVAL_S = 1;
/* Home, and erase the screen below (ECMA-48). */
static const char REDRAW[] = "\033[H\033[J";

static const struct option_spec OPTIONS[] = {
        { 0, "interval", OPTION_DECIMAL, offsetof(struct stats_values, interval), 0.1, 3600, .argument = "S",
          .help = "seconds over which CPU % is measured, and between two tables; default 1" },
        { 0, "watch", OPTION_FLAG, offsetof(struct stats_values, is_watching),
          .help = "show the table again and again, until interrupted" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "USER", "user", FIELD_ID },           { "STATE", "state", FIELD_TEXT },  { "CPU %", "cpu", FIELD_TEXT },
        { "MEM USAGE", "memory", FIELD_BYTES }, { "LIMIT", "limit", FIELD_BYTES }, { "NET IN", "in", FIELD_BYTES },
        { "NET OUT", "out", FIELD_BYTES },      { "PIDS", "pids", FIELD_TEXT },    { NULL, NULL, FIELD_TEXT },
};

/* {"carrels":[...]} of one carrel, or of all. */
static int sample(struct cli *cli, const char *user, cJSON **ret_sample)
{
        AUTO(auto_json) cJSON *whole = cJSON_CreateObject();
        cJSON *carrels = cJSON_AddArrayToObject(whole, "carrels");
        const struct cli_action action = { .method = "GET", .collection = "/v1/carrels", .suffix = "/usage" };
        int status;

        if (carrels == NULL)
                return cli_no_memory(cli);
        status = user != NULL ? cli_call_each(cli, &action, (char *const[]){ (char *)(uintptr_t)user, NULL }, carrels)
                              : cli_list_usage(cli, carrels);
        if (status != STATUS_OK)
                return status;
        *ret_sample = TAKE(whole);
        return STATUS_OK;
}

/* The same user's reading in an earlier sample; both are sorted by user, so the search goes on at *at. */
static const cJSON *find_earlier(const cJSON **at, const char *user)
{
        while (*at != NULL && strcmp(view_text(*at, "user"), user) < 0)
                *at = (*at)->next;
        return *at != NULL && str_equal(view_text(*at, "user"), user) ? *at : NULL;
}

static void add_number(cJSON *row, const char *name, const cJSON *object, const char *path)
{
        const cJSON *found = view_find(object, path);

        if (cJSON_IsNumber(found))
                (void)cJSON_AddNumberToObject(row, name, found->valuedouble);
}

/* Of one CPU: 200.0 are two. Nothing if its container is another one, or has no counters. */
static void add_cpu(cJSON *row, const cJSON *now, const cJSON *earlier)
{
        double elapsed_us = (view_number(now, "read_ms", 0) - view_number(earlier, "read_ms", 0)) * 1000;
        double used_us = view_number(now, "cpu.usage_us", -1) - view_number(earlier, "cpu.usage_us", 0);
        char text[32];

        if (earlier == NULL || elapsed_us <= 0 || used_us < 0 || !cJSON_IsNumber(view_find(now, "cpu.usage_us")) ||
            view_number(now, "generation", 0) != view_number(earlier, "generation", 0))
                return;
        (void)snprintf(text, sizeof text, "%.1f", 100 * used_us / elapsed_us);
        (void)cJSON_AddStringToObject(row, "cpu", text);
}

static cJSON *make_rows(const cJSON *sample_now, const cJSON *sample_before)
{
        const cJSON *at =
                view_find(sample_before, "carrels") != NULL ? view_find(sample_before, "carrels")->child : NULL;
        cJSON *rows = cJSON_CreateArray();
        const cJSON *now;

        cJSON_ArrayForEach(now, view_find(sample_now, "carrels"))
        {
                cJSON *row = cJSON_CreateObject();

                (void)cJSON_AddStringToObject(row, "user", view_text(now, "user"));
                (void)cJSON_AddStringToObject(row, "state", view_text(now, "state"));
                add_cpu(row, now, find_earlier(&at, view_text(now, "user")));
                add_number(row, "memory", now, "memory.current_bytes");
                add_number(row, "limit", now, "memory.limit_bytes");
                add_number(row, "in", now, "net.received_bytes");
                add_number(row, "out", now, "net.sent_bytes");
                add_number(row, "pids", now, "pids.current");
                if (row == NULL || !cJSON_AddItemToArray(rows, row))
                        cJSON_Delete(row);
        }
        return rows;
}

static int show(struct cli *cli, const cJSON *now, const cJSON *before)
{
        AUTO(auto_json) cJSON *rows = NULL;

        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, now));
        rows = make_rows(now, before);
        if (rows == NULL)
                return cli_no_memory(cli);
        return cli_show_list(cli, FIELDS, "user", rows, "there is no carrel; `carrel ensure USER` makes one");
}

static void pause_for(double seconds)
{
        const struct timespec wait = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };

        (void)nanosleep(&wait, NULL);
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct stats_values *stats = values;
        double interval_s = stats->interval.is_given ? stats->interval.value : INTERVAL_S;
        const char *user = n_operands > 0 ? operands[0] : NULL;
        AUTO(auto_json) cJSON *now = NULL;
        int status = sample(cli, user, &now);
        /* CPU % is a difference; nothing else needs a second sample. */
        bool has_shown = cli_is_json(cli) || cli->is_quiet;

        if (status == STATUS_OK && has_shown)
                status = show(cli, now, NULL);
        while (status == STATUS_OK && (stats->is_watching || !has_shown)) {
                AUTO(auto_json) cJSON *before = TAKE(now);

                if (fflush(cli->out) != 0)
                        break;
                pause_for(interval_s);
                status = sample(cli, user, &now);
                if (status == STATUS_OK && stats->is_watching && cli->width > 0 && !cli_is_json(cli))
                        (void)fputs(REDRAW, cli->out);
                if (status == STATUS_OK)
                        status = show(cli, now, before);
                has_shown = true;
        }
        return status;
}

const struct verb CMD_STATS = {
        .name = "stats",
        .operands = "[USER]",
        .summary = "Show what carrels use now: CPU, memory, network, tasks",
        .help = "CPU % is measured for a second; 100 is one CPU. NET is since the carrel's start. -o json shows the\n"
                "counters of one reading at once, with all that carreld knows. A carrel is not in use by that, and a\n"
                "frozen one stays so.",
        .examples = "  carrel stats\n  carrel stats ada --watch --interval 2\n  carrel stats -o json",
        .options = OPTIONS,
        .values_size = sizeof(struct stats_values),
        .max_operands = 1,
        .run = run,
};
