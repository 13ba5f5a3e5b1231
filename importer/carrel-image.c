/* carrel-image: the only writer of the image store. carreld runs it. An archive comes on its standard input; it reports
 * on its standard output, as one JSON object (docs/images.md). */
#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "host.h"
#include "import.h"
#include "scope.h"
#include "store.h"
#include "str.h"

enum exit_status { EXIT_USAGE = 2 };

struct arguments {
        const char *store;
        const char *reference;
        enum image_format format;
        uint64_t max_bytes;
        uint64_t max_entries;
};

/* ---- the report ---- */

static int print(cJSON *tree)
{
        char *text = tree == NULL ? NULL : cJSON_PrintUnformatted(tree);
        int r = text == NULL || puts(text) < 0 || fflush(stdout) != 0 ? -EIO : 0;

        cJSON_free(text);
        cJSON_Delete(tree);
        return r;
}

static int print_fault(const struct fault *why)
{
        cJSON *tree = cJSON_CreateObject();
        cJSON *error = cJSON_AddObjectToObject(tree, "error");

        (void)cJSON_AddStringToObject(error, "code", fault_code(why->kind));
        (void)cJSON_AddStringToObject(error, "message", why->message);
        (void)print(tree);
        return EXIT_FAILURE;
}

static int print_image(const struct stored_image *image, const char *reference, bool is_new)
{
        cJSON *tree = cJSON_CreateObject();

        (void)cJSON_AddStringToObject(tree, "id", image->id);
        (void)cJSON_AddStringToObject(tree, "reference", reference);
        (void)cJSON_AddBoolToObject(tree, "is_new", is_new);
        (void)cJSON_AddNumberToObject(tree, "bytes", (double)image->bytes);
        (void)cJSON_AddNumberToObject(tree, "entries", (double)image->entries);
        return print(tree) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the verbs ---- */

/* The id is computed; an image cannot be imported under one. */
static int resolve_name(const char *text, char ret_reference[static IMAGE_REFERENCE_BYTES], struct fault *why)
{
        int r = image_reference_resolve(text, ret_reference, why);

        if (r == 0 && image_is_id(ret_reference))
                r = fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "an image is imported under a name, not under an id");
        return r;
}

static int do_import(struct store *store, const struct arguments *arguments, struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        char reference[IMAGE_REFERENCE_BYTES];
        struct import import = { .archive_fd = STDIN_FILENO,
                                 .format = arguments->format,
                                 .reference = reference,
                                 .max_bytes = arguments->max_bytes,
                                 .max_entries = arguments->max_entries };
        bool is_new = false;
        int r = resolve_name(arguments->reference, reference, why);

        if (r == 0)
                r = import_run(store, &import, &image, &is_new, why);
        return r < 0 ? r : print_image(&image, reference, is_new);
}

static int do_host(struct store *store, const struct arguments *arguments, struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        char reference[IMAGE_REFERENCE_BYTES];
        bool is_new = false;
        int r = resolve_name(arguments->reference, reference, why);

        if (r == 0)
                r = host_image(store, reference, &image, &is_new, why);
        return r < 0 ? r : print_image(&image, reference, is_new);
}

static int do_remove(struct store *store, const struct arguments *arguments, struct fault *why)
{
        int r = store_remove(store, arguments->reference, why);

        return r < 0 ? r : print(cJSON_CreateObject());
}

static int do_clear(struct store *store, const struct arguments *arguments, struct fault *why)
{
        int r = store_clear(store, why);

        (void)arguments;
        return r < 0 ? r : print(cJSON_CreateObject());
}

static const struct verb {
        const char *name;
        bool has_reference;
        int (*run)(struct store *store, const struct arguments *arguments, struct fault *why);
} VERBS[] = {
        { "clear", false, do_clear },
        { "host", true, do_host },
        { "import", true, do_import },
        { "remove", true, do_remove },
};

static const char USAGE[] =
        "Usage: carrel-image import|host|remove|clear --store DIR [options] [NAME[:TAG]]\n"
        "Changes the image store; carreld runs it, \"carrel image\" is for people.\n"
        "\n"
        "  import NAME   unpacks the archive on standard input: a tar of a root tree, a docker-archive, an OCI layout\n"
        "  host NAME     makes an image of this machine's own /usr, to be mounted read-only\n"
        "  remove NAME   removes a name, and with its last one the image\n"
        "  clear         removes what interrupted imports have left\n"
        "\n"
        "      --format F       auto, docker, oci or rootfs (default auto)\n"
        "      --max-bytes N    of the archive, and of what it unpacks to (default 8589934592)\n"
        "      --max-entries N  files, directories and links (default 500000)\n"
        "      --store DIR      the image store (carrel.conf: image_dir)\n"
        "      --version        print the version and exit\n"
        "  -h, --help           print this help and exit\n"
        "\n"
        "Example:\n"
        "  carrel-image import --store /var/lib/carrel/images sandbox:1 < sandbox.tar\n";

/* ---- the command line ---- */

enum { OPTION_FORMAT = 256, OPTION_MAX_BYTES, OPTION_MAX_ENTRIES, OPTION_STORE, OPTION_VERSION };

static int read_option(struct arguments *arguments, int option, const char *value)
{
        switch (option) {
        case OPTION_FORMAT:
                return image_format_parse(value, &arguments->format);
        case OPTION_MAX_BYTES:
                return str_parse_u64(value, 1, UINT64_C(1) << 60, &arguments->max_bytes);
        case OPTION_MAX_ENTRIES:
                return str_parse_u64(value, 1, UINT64_C(1) << 40, &arguments->max_entries);
        case OPTION_STORE:
                arguments->store = value;
                return value[0] == '/' ? 0 : -EINVAL;
        default:
                return -EINVAL;
        }
}

/* Returns an exit status, or -1 to continue. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
        static const struct option OPTIONS[] = {
                { "format", required_argument, NULL, OPTION_FORMAT },
                { "help", no_argument, NULL, 'h' },
                { "max-bytes", required_argument, NULL, OPTION_MAX_BYTES },
                { "max-entries", required_argument, NULL, OPTION_MAX_ENTRIES },
                { "store", required_argument, NULL, OPTION_STORE },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };

        for (int option; (option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
                if (option == 'h')
                        return fputs(USAGE, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
                if (option == OPTION_VERSION)
                        return puts("carrel-image " CARREL_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
                if (read_option(arguments, option, optarg) < 0) {
                        (void)fputs("carrel-image: unknown option; see carrel-image --help\n", stderr);
                        return EXIT_USAGE;
                }
        }
        return -1;
}

static const struct verb *find_verb(const char *name, int n_rest)
{
        for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
                if (str_equal(VERBS[i].name, name) && n_rest == (VERBS[i].has_reference ? 1 : 0))
                        return &VERBS[i];
        return NULL;
}

/* If a standard stream were closed, a file of the store could get its number and be written to. */
static int open_streams(void)
{
        for (int i = 0; i <= STDERR_FILENO; i++)
                if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) != i)
                        return -errno;
        return 0;
}

int main(int argc, char **argv)
{
        struct arguments arguments = { .max_bytes = UINT64_C(8) << 30, .max_entries = 500000 };
        AUTO(auto_store) struct store *store = NULL;
        const struct verb *verb;
        struct fault why = { 0 };
        int status = open_streams() < 0 ? EXIT_FAILURE : read_arguments(argc, argv, &arguments);

        if (status >= 0)
                return status;
        verb = optind < argc ? find_verb(argv[optind], argc - optind - 1) : NULL;
        if (verb == NULL || arguments.store == NULL) {
                (void)fputs("carrel-image: needs a verb, its NAME and --store DIR; see carrel-image --help\n", stderr);
                return EXIT_USAGE;
        }
        if (verb->has_reference)
                arguments.reference = argv[optind + 1];
        (void)umask(022);
        (void)signal(SIGPIPE, SIG_IGN);
        status = confine_cpu();
        if (status < 0)
                (void)fault_set(&why, FAULT_INTERNAL, -status, "cannot bound processor time: %s", strerror(-status));
        if (status == 0)
                status = store_open(&store, arguments.store, &why);
        if (status == 0 && verb->run != do_clear)
                (void)store_clear(store, NULL); /* "clear" reports what cannot be cleared */
        if (status == 0)
                status = verb->run(store, &arguments, &why);
        return status < 0 ? print_fault(&why) : status;
}
