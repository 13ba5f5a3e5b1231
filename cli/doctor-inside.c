#include "doctor-inside.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "inside.h"
#include "str.h"

const char DOCTOR_INSIDE_SCRIPT[] =
        "while read -r key value rest; do\n"
        "  case $key in CapBnd:|NoNewPrivs:|Seccomp:|Uid:) echo \"$key $value\";; esac\n"
        "  if [ $key = NoNewPrivs: ]; then if [ -r " INSIDE_INIT " ]; then echo Init: yes; else echo Init: no; fi; fi\n"
        "done </proc/self/status\n"
        "while read -r device mount type options rest; do\n"
        "  if [ \"$mount\" = / ]; then echo \"Root: ${options%%,*}\"; fi\n"
        "done </proc/self/mounts\n"
        "write() { if (: >\"$2\") 2>/dev/null; then echo \"$1: yes\"; rm -f \"$2\"; else echo \"$1: no\"; fi; }\n"
        "write Tmp " INSIDE_TMP "/.carrel-doctor\n"
        "write Workspace " INSIDE_WORKSPACE "/.carrel-doctor\n"
        "show() { if [ -r \"$2\" ]; then read -r value <\"$2\"; echo \"$1: $value\"; fi; }\n"
        "show Pids " INSIDE_CGROUPS "/pids.max\n"
        "show Pids " INSIDE_CGROUPS "/pids/pids.max\n"
        "show Memory " INSIDE_CGROUPS "/memory.max\n"
        "show Memory " INSIDE_CGROUPS "/memory/memory.limit_in_bytes\n"
        "while read -r inside host count; do echo \"Ids: $host\"; done </proc/self/uid_map\n";

const char DOCTOR_EGRESS_SCRIPT[] = "has() { command -v \"$1\" >/dev/null 2>&1; }\n"
                                    "by_python3() { python3 -c 'import socket, sys\n"
                                    "try:\n"
                                    "    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)\n"
                                    "    print(\"connected\")\n"
                                    "except OSError as e:\n"
                                    "    print(e)' \"$1\" \"$2\"; }\n"
                                    "by_nc() { nc -w 3 \"$1\" \"$2\" </dev/null 2>&1 && echo connected; }\n"
                                    "by_wget() { wget -T 3 -O /dev/null \"http://$1:$2/\" 2>&1 && echo connected; }\n"
                                    "for tool in python3 nc wget; do\n"
                                    "  has $tool || continue\n"
                                    "  echo \"Tool: $tool\"\n"
                                    "  echo Control: $(by_$tool 127.0.0.1 1)\n"
                                    "  echo Target: $(by_$tool \"$1\" \"$2\")\n"
                                    "  exit 0\n"
                                    "done\n";

/* The environment bounds how long glibc's resolver waits; busybox's has its own bound. getent cannot distinguish an
 * unknown name from silence. */
const char DOCTOR_NAMES_SCRIPT[] =
        "export RES_OPTIONS='timeout:2 attempts:2'\n"
        "has() { command -v \"$1\" >/dev/null 2>&1; }\n"
        "by_python3() { python3 -c 'import socket, sys\n"
        "try:\n"
        "    print(\"resolved\", socket.getaddrinfo(sys.argv[1], 443, socket.AF_INET)[0][4][0])\n"
        "except socket.gaierror as e:\n"
        "    known = (socket.EAI_NONAME, getattr(socket, \"EAI_NODATA\", socket.EAI_NONAME))\n"
        "    print(\"unknown\" if e.errno in known else \"silent\", e)' \"$1\"; }\n"
        "by_nslookup() { text=$(nslookup \"$1\" 2>&1); text=$(echo $text)\n"
        "  case $text in\n"
        "    *Name:*Address*) echo \"resolved ${text##*Name:}\";;\n"
        "    *'timed out'*|*'no servers'*|*refused*|*\"can't connect\"*|*unreachable*) echo \"silent $text\";;\n"
        "    *\"an't find\"*|*\"can't resolve\"*) echo \"unknown $text\";;\n"
        "    *) echo \"silent $text\";;\n"
        "  esac; }\n"
        "by_getent() { text=$(getent ahostsv4 \"$1\") && echo \"resolved ${text%% *}\" || echo 'unclear nothing'; }\n"
        "for tool in python3 nslookup getent; do\n"
        "  has $tool || continue\n"
        "  echo \"Tool: $tool\"\n"
        "  echo Name: $(by_$tool \"$1\")\n"
        "  exit 0\n"
        "done\n";

const char *doctor_line(const char *report, const char *key, char *ret_value, size_t size)
{
        size_t key_length = strlen(key);

        ret_value[0] = '\0';
        while (*report != '\0') {
                size_t length = strcspn(report, "\n");

                if (length >= key_length && strncmp(report, key, key_length) == 0) {
                        size_t start = key_length + strspn(report + key_length, " ");
                        size_t count = start < length ? length - start : 0;

                        if (count >= size)
                                count = size - 1;
                        memcpy(ret_value, report + start, count);
                        ret_value[count] = '\0';
                }
                report += length + (report[length] == '\n');
        }
        return ret_value;
}

static bool is_capless(const char *value)
{
        return *value != '\0' && strspn(value, "0") == strlen(value);
}

static bool is_one(const char *value)
{
        return str_equal(value, "1");
}

static bool is_filter(const char *value)
{
        return str_equal(value, "2");
}

static bool is_not_root(const char *value)
{
        return !str_equal(value, "0");
}

static bool is_read_only(const char *value)
{
        return str_equal(value, "ro") || str_has_prefix(value, "ro,");
}

static bool is_yes(const char *value)
{
        return str_equal(value, "yes");
}

static bool is_no(const char *value)
{
        return str_equal(value, "no");
}

/* Without a limit cgroup v2 has "max", and v1 a number near 2^63. */
static bool is_limit(const char *value)
{
        uint64_t limit = 0;

        return str_parse_u64(value, 1, UINT64_C(1) << 60, &limit) == 0;
}

static const struct {
        enum doctor_check check;
        const char *key;
        bool (*is_kept)(const char *value);
        const char *missing; /* why there may honestly be no such line; NULL: then the check fails */
        const char *beside;  /* only if there is this one, which comes from the same place; NULL: always */
} PROMISES[] = {
        { CHECK_USER, "Uid:", is_not_root, NULL, NULL },
        { CHECK_CAPABILITIES, "CapBnd:", is_capless, NULL, NULL },
        { CHECK_NEW_PRIVILEGES, "NoNewPrivs:", is_one, "the runtime's own kernel does not report it", "Seccomp:" },
        { CHECK_SECCOMP, "Seccomp:", is_filter, NULL, NULL },
        { CHECK_INIT, "Init:", is_no, "the runtime has its own kernel, so the agent is not a process of the host",
          "Seccomp:" },
        { CHECK_ROOT, "Root:", is_read_only, NULL, NULL },
        { CHECK_TMP, "Tmp:", is_yes, NULL, NULL },
        { CHECK_WORKSPACE, "Workspace:", is_yes, NULL, NULL },
        { CHECK_PIDS, "Pids:", is_limit, "the runtime shows no cgroup inside", NULL },
        { CHECK_MEMORY, "Memory:", is_limit, "the runtime shows no cgroup inside", NULL },
};

static bool may_be_missing(const char *report, size_t i)
{
        char value[256];

        return PROMISES[i].missing != NULL &&
               (PROMISES[i].beside == NULL || *doctor_line(report, PROMISES[i].beside, value, sizeof value) != '\0');
}

/* Never a failure: with one uid for all carrels it cannot be avoided. A runtime's own kernel shares no counts, and does
 * not report NoNewPrivs. */
static void judge_counts(struct doctor_findings *findings, const char *report)
{
        char host[32];
        char privileges[32];
        uint64_t base = 0;

        (void)doctor_line(report, "Ids:", host, sizeof host);
        (void)doctor_line(report, "NoNewPrivs:", privileges, sizeof privileges);
        if (str_parse_u64(host, 0, UINT32_MAX, &base) < 0)
                doctor_note(findings, CHECK_COUNTS, VERDICT_SKIP, "the probe did not report it");
        else if (base > 0)
                doctor_note(findings, CHECK_COUNTS, VERDICT_OK, "its ids begin at %s on the host", host);
        else if (*privileges == '\0')
                doctor_note(findings, CHECK_COUNTS, VERDICT_OK, "the runtime has its own kernel");
        else
                doctor_note(findings, CHECK_COUNTS, VERDICT_SKIP,
                            "all carrels have one uid here and share the kernel's limits for it (inotify, timers, "
                            "message queues, pipes): one carrel can use up all. The engine oci gives each its own");
}

void doctor_judge_inside(struct doctor_findings *findings, const char *report)
{
        for (size_t i = 0; i < sizeof PROMISES / sizeof *PROMISES; i++) {
                char value[256], size[STR_SIZE_BYTES];
                uint64_t bytes;

                (void)doctor_line(report, PROMISES[i].key, value, sizeof value);
                if (*value == '\0' && may_be_missing(report, i))
                        doctor_note(findings, PROMISES[i].check, VERDICT_SKIP, "%s", PROMISES[i].missing);
                else if (*value == '\0')
                        doctor_note(findings, PROMISES[i].check, VERDICT_FAIL, "the probe did not report it");
                else
                        doctor_note(findings, PROMISES[i].check, PROMISES[i].is_kept(value) ? VERDICT_OK : VERDICT_FAIL,
                                    "%s %s", PROMISES[i].key,
                                    PROMISES[i].check == CHECK_MEMORY &&
                                                    str_parse_u64(value, 0, UINT64_MAX, &bytes) == 0
                                            ? str_size(bytes, size)
                                            : value);
        }
        judge_counts(findings, report);
}

enum reach { REACH_ANSWERED, REACH_SILENT, REACH_UNCLEAR };

/* Messages of Python, busybox and wget. A refusal is an answer: a packet has come back. */
static const struct {
        const char *word;
        enum reach reach;
} WORDS[] = {
        { "connected", REACH_ANSWERED },       { "refused", REACH_ANSWERED },
        { "server returned", REACH_ANSWERED }, { "HTTP request sent", REACH_ANSWERED },
        { "reset by peer", REACH_ANSWERED },   { "timed out", REACH_SILENT },
        { "timeout", REACH_SILENT },           { "unreachable", REACH_SILENT },
        { "No route to host", REACH_SILENT },  { "not permitted", REACH_SILENT },
};

static enum reach read_reach(const char *message)
{
        for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
                if (strcasestr(message, WORDS[i].word) != NULL)
                        return WORDS[i].reach;
        return REACH_UNCLEAR;
}

/* The probe as a whole: false (and noted) when it proves nothing. */
static bool read_probe(struct doctor_findings *findings, enum doctor_check check, const char *report, char *ret_message,
                       size_t size, enum reach *ret_reach)
{
        char tool[32];
        char control[192];

        (void)doctor_line(report, "Tool:", tool, sizeof tool);
        (void)doctor_line(report, "Control:", control, sizeof control);
        (void)doctor_line(report, "Target:", ret_message, size);
        *ret_reach = read_reach(ret_message);
        if (*tool == '\0')
                doctor_note(findings, check, VERDICT_SKIP, "the image has no python3, nc or wget");
        else if (strcasestr(control, "refused") == NULL)
                doctor_note(findings, check, VERDICT_SKIP, "%s inside does not report a refused connection: \"%s\"",
                            tool, control);
        else if (*ret_reach == REACH_UNCLEAR)
                doctor_note(findings, check, VERDICT_SKIP, "%s inside said \"%s\"", tool, ret_message);
        else
                return true;
        return false;
}

void doctor_judge_denied(struct doctor_findings *findings, const char *target, const char *report, double dropped)
{
        char message[192];
        enum reach reach;

        if (!read_probe(findings, CHECK_EGRESS_DENIED, report, message, sizeof message, &reach))
                return;
        if (reach == REACH_ANSWERED)
                doctor_note(findings, CHECK_EGRESS_DENIED, VERDICT_FAIL, "%s answers from inside: %s", target, message);
        else if (dropped > 0)
                doctor_note(findings, CHECK_EGRESS_DENIED, VERDICT_OK, "%s: no answer, and %.0f packets dropped",
                            target, dropped);
        else
                doctor_note(findings, CHECK_EGRESS_DENIED, VERDICT_OK,
                            "%s: no answer (%s); the policy's counter is unchanged", target, message);
}

void doctor_judge_allowed(struct doctor_findings *findings, const char *target, const char *report)
{
        char message[192];
        enum reach reach;

        if (!read_probe(findings, CHECK_EGRESS_ALLOWED, report, message, sizeof message, &reach))
                return;
        doctor_note(findings, CHECK_EGRESS_ALLOWED, reach == REACH_ANSWERED ? VERDICT_OK : VERDICT_FAIL, "%s: %s",
                    target, message);
}

void doctor_judge_names(struct doctor_findings *findings, const char *name, const char *resolvers, const char *report)
{
        char tool[32];
        char said[192];

        (void)doctor_line(report, "Tool:", tool, sizeof tool);
        (void)doctor_line(report, "Name:", said, sizeof said);
        if (*tool == '\0')
                doctor_note(findings, CHECK_NAMES, VERDICT_SKIP, "the image has no python3, nslookup or getent");
        else if (str_has_prefix(said, "resolved "))
                doctor_note(findings, CHECK_NAMES, VERDICT_OK, "%s is %s, according to %s", name,
                            said + strlen("resolved "), resolvers);
        else if (str_has_prefix(said, "unknown "))
                doctor_note(findings, CHECK_NAMES, VERDICT_OK, "%s answers from inside, but does not know %s",
                            resolvers, name);
        else if (str_has_prefix(said, "silent "))
                doctor_note(findings, CHECK_NAMES, VERDICT_FAIL, "from inside, %s does not answer: %s", resolvers,
                            said + strlen("silent "));
        else
                doctor_note(findings, CHECK_NAMES, VERDICT_SKIP, "%s inside said \"%s\"", tool, said);
}
