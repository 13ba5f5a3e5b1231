#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api-path.h"
#include "calls.h"
#include "image-archive.h"
#include "image-pull.h"
#include "interrupt.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct image_values {
        const char *archive;
        const char *format;
        bool is_insecure;
        const char *packages;
        const char *sources;
        const char *suite;
        struct option_number timeout;
};

static const char *const FORMATS[] = { "auto", "docker", "oci", "rootfs", NULL };

static const struct option_spec OPTIONS[] = {
        { 0, "archive", OPTION_TEXT, offsetof(struct image_values, archive), .argument = "FILE",
          .help = "build: write the archive to FILE and import nothing" },
        { 'f', "format", OPTION_CHOICE, offsetof(struct image_values, format), .choices = FORMATS, .argument = "FORMAT",
          .help = "import: format of the archive: auto, docker, oci, rootfs; default auto" },
        { 0, "insecure", OPTION_FLAG, offsetof(struct image_values, is_insecure),
          .help = "pull: permit plain HTTP and unverified certificates" },
        { 0, "packages", OPTION_TEXT, offsetof(struct image_values, packages), .argument = "FILE",
          .help = "build: names of Debian packages, one or more a line" },
        { 0, "sources", OPTION_TEXT, offsetof(struct image_values, sources), .argument = "FILE",
          .help = "build: sources.list(5) lines; default this machine's" },
        { 0, "suite", OPTION_TEXT, offsetof(struct image_values, suite), .argument = "SUITE",
          .help = "build: the Debian release; default this machine's" },
        { 0, "timeout", OPTION_DECIMAL, offsetof(struct image_values, timeout), .min = 1, .max = 86400,
          .argument = "SECONDS", .help = "pull: stop after so many seconds; default 3600" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "IMAGE", "reference", FIELD_ID },
        { "SIZE", "size_bytes", FIELD_BYTES },
        { "CREATED", "created_at", FIELD_TEXT },
        { "ID", "id", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

/* In a listing the beginning of an id is enough to identify it. */
static const struct field LISTED[] = {
        { "IMAGE", "reference", FIELD_ID },
        { "SIZE", "size_bytes", FIELD_BYTES },
        { "CREATED", "created_at", FIELD_TEXT },
        { "ID", "id", FIELD_DIGEST },
        { NULL, NULL, FIELD_TEXT },
};

#define PULL_TIMEOUT_S 3600.0

static const char DEFAULT_REFERENCE[] = "carrel-sandbox:latest";

/* ---- sending ---- */

static int show_image(struct cli *cli, const cJSON *answer)
{
        if (cli->is_quiet)
                return cli_print_line(cli, view_text(answer, "id")) < 0 ? STATUS_FAILED : STATUS_OK;
        return cli_show_one(cli, FIELDS, answer);
}

static int send_archive(struct cli *cli, const struct image_archive *archive, const char *reference, const char *format)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        char size[STR_SIZE_BYTES];
        struct api_error error = { .status = STATUS_FAILED };

        (void)buffer_text(&path, "/v1/images");
        if (api_path_query(&path, "reference", reference) < 0 ||
            api_path_query(&path, "format", format != NULL ? format : archive->format) < 0)
                return cli_no_memory(cli);
        if (!cli->is_quiet && cli->width > 0)
                cli_complain(cli, "sending %s; carreld answers when %s is unpacked", str_size(archive->bytes, size),
                             reference);
        api_client_heed(cli->api, interrupt_fd);
        if (api_send_file(cli->api, "POST", path.data, archive->fd, &answer, &error) < 0)
                return cli_fail(cli, &error);
        return show_image(cli, answer);
}

static int import_file(struct cli *cli, const struct image_values *values, char **operands)
{
        AUTO(auto_archive) struct image_archive archive = { .fd = -1 };
        int status = image_archive_open(cli, operands[0], &archive);

        return status != STATUS_OK ? status : send_archive(cli, &archive, operands[1], values->format);
}

/* ---- building ---- */

static int build_and_send(struct cli *cli, struct image_recipe *recipe)
{
        AUTO(auto_archive) struct image_archive archive = { .fd = -1 };
        AUTO(auto_buffer) struct buffer target = { 0 };
        int fd;
        int status;

        if (buffer_format(&target, "%s/carrel-image-XXXXXX", scratch_directory()) < 0)
                return cli_no_memory(cli);
        fd = mkostemp(target.data, O_CLOEXEC);
        if (fd < 0) {
                cli_complain(cli, "cannot create a temporary file in %s (set TMPDIR): %s", scratch_directory(),
                             strerror(errno));
                return STATUS_FAILED;
        }
        close(fd);
        recipe->target = target.data;
        status = image_archive_build(cli, recipe);
        if (status == STATUS_OK)
                status = image_archive_open(cli, target.data, &archive);
        (void)unlink(target.data);
        recipe->target = NULL;
        return status != STATUS_OK ? status : send_archive(cli, &archive, recipe->reference, "docker");
}

static int build(struct cli *cli, const struct image_values *values, char **operands)
{
        struct image_recipe recipe = { .packages = values->packages,
                                       .sources = values->sources,
                                       .suite = values->suite,
                                       .reference = operands[0] != NULL ? operands[0] : DEFAULT_REFERENCE,
                                       .target = values->archive };

        return values->archive != NULL ? image_archive_build(cli, &recipe) : build_and_send(cli, &recipe);
}

/* ---- registries ---- */

static int pull(struct cli *cli, const struct image_values *values, char **operands)
{
        AUTO(auto_archive) struct image_archive archive = { .fd = -1 };
        AUTO(auto_buffer) struct buffer name = { 0 };
        const struct image_pull pull = { .source = operands[0],
                                         .is_insecure = values->is_insecure,
                                         .timeout_s =
                                                 values->timeout.is_given ? values->timeout.value : PULL_TIMEOUT_S };
        int status;

        if (operands[1] == NULL && !image_pull_name(operands[0], &name))
                return cli_fail_usage(cli, "image", "missing name: carrel image pull %s NAME[:TAG]", operands[0]);
        status = image_pull(cli, &pull, &archive);
        return status != STATUS_OK ? status
                                   : send_archive(cli, &archive, operands[1] != NULL ? operands[1] : name.data, NULL);
}

/* ---- looking and removing ---- */

static int list(struct cli *cli, const struct image_values *values, char **operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call(cli, "GET", "/v1/images", NULL, &answer);

        if (status != STATUS_OK)
                return status;
        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, answer));
        return cli_show_list(cli, LISTED, "reference", cJSON_GetObjectItemCaseSensitive(answer, "images"),
                             "no images; `carrel image build` builds one");
}

static int inspect(struct cli *cli, const struct image_values *values, char **operands)
{
        const struct cli_action action = { "GET", "/v1/images", "", NULL, cli_resolve_image };
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call_id(cli, &action, operands[0], &answer);

        return status == STATUS_OK ? show_image(cli, answer) : status;
}

static int remove_each(struct cli *cli, const struct image_values *values, char **operands)
{
        static const struct field REMOVED[] = {
                { "IMAGE", "reference", FIELD_TEXT },
                { "OUTCOME", "outcome", FIELD_TEXT },
                { NULL, NULL, FIELD_TEXT },
        };
        const struct cli_action action = { "DELETE", "/v1/images", "", NULL, cli_resolve_image };
        AUTO(auto_json) cJSON *answers = cJSON_CreateArray();
        int status = answers == NULL ? cli_no_memory(cli) : cli_call_each(cli, &action, operands, answers);
        int shown = answers == NULL ? status : cli_show_each(cli, REMOVED, NULL, answers);

        return status != STATUS_OK ? status : shown;
}

static const struct {
        const char *name;
        int min, max; /* operands after it */
        int (*run)(struct cli *cli, const struct image_values *values, char **operands);
} ACTIONS[] = {
        { "build", 0, 1, build }, { "import", 2, 2, import_file }, { "inspect", 1, 1, inspect },
        { "ls", 0, 0, list },     { "pull", 1, 2, pull },          { "rm", 1, OPERANDS_ANY, remove_each },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
                if (strcmp(ACTIONS[i].name, operands[0]) != 0)
                        continue;
                if (n_operands - 1 < ACTIONS[i].min || n_operands - 1 > ACTIONS[i].max)
                        return cli_fail_usage(cli, "image", "%s", "wrong number of arguments after the action");
                return ACTIONS[i].run(cli, values, operands + 1);
        }
        return cli_fail_usage(cli, "image", "image takes build, import, inspect, ls, pull or rm, not \"%s\"",
                              operands[0]);
}

const struct verb CMD_IMAGE = {
        .name = "image",
        .operands = "build [NAME[:TAG]] | import FILE|DIR|- NAME[:TAG] | inspect NAME | ls | pull SOURCE [NAME[:TAG]] "
                    "| rm NAME...",
        .summary = "Build, import, list and remove images",
        .help = "build makes the default sandbox image (Debian with python3, pip, node, git and build tools) with\n"
                "mmdebstrap, which takes minutes, and imports it as carrel-sandbox:latest or NAME. import takes a\n"
                "docker-archive, an OCI layout, or a root tree, as a tar or a directory; \"-\" is stdin. A hostile or\n"
                "damaged archive is refused with the entry's name, and nothing of it is kept. pull fetches SOURCE\n"
                "from a registry with skopeo, and verifies its digest. build (without --archive), import, pull and\n"
                "rm need an admin. -q prints names, or the id of an image.",
        .examples = "  carrel image build\n"
                    "  carrel image import sandbox.tar sandbox:1\n"
                    "  docker save tools:2 | carrel image import - tools:2\n"
                    "  carrel image ls\n"
                    "  carrel image pull registry.example/team/tools:2 tools:2\n"
                    "  carrel image rm sandbox:1",
        .options = OPTIONS,
        .values_size = sizeof(struct image_values),
        .min_operands = 1,
        .max_operands = OPERANDS_ANY,
        .is_slow = true,
        .run = run,
};
