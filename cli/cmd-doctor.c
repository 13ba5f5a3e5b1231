#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "calls.h"
#include "doctor-disks.h"
#include "doctor-findings.h"
#include "doctor-inside.h"
#include "doctor-lxcfs.h"
#include "doctor-warm.h"
#include "interrupt.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

/* The cloud's metadata service: the first target of a hostile program. */
static const char DENIED_ADDRESS[] = "169.254.169.254";
static const char DENIED_PORT[] = "80";

static const double PROBE_TIMEOUT_S = 20;
/* carrel-netd reads the counters once a second. */
static const double COUNTER_WAIT_S = 0.25;
enum { COUNTER_WAITS = 12, USER_BYTES = 32 };

struct doctor_values {
        const char *allowed;
};

static const struct option_spec OPTIONS[] = {
        { 'a', "allowed", OPTION_TEXT, offsetof(struct doctor_values, allowed), .argument = "ADDRESS:PORT",
          .help = "also check that this target, which the policy allows, is reachable" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "CHECK", "check", FIELD_TEXT },
        { "RESULT", "result", FIELD_TEXT },
        { "DETAIL", "detail", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

struct doctor {
        struct cli *cli;
        struct doctor_findings findings;
        const char *allowed;
        char user[USER_BYTES]; /* the probe's */
        char resolvers[256];   /* of carrels; "": none */
        const char *nameless;  /* why the settings permit no name resolution; NULL: they do */
        int signal;            /* that arrived meanwhile; 0: none */
};

/* A call. If a signal ends it, that is remembered, and nothing more is tried. */
static int call(struct doctor *doctor, const char *method, const char *path, const cJSON *body, cJSON **ret_answer,
                struct api_error *ret_error)
{
        int r = api_call(doctor->cli->api, method, path, body, ret_answer, ret_error);

        if (r == -EINTR && ret_error->signal != 0)
                doctor->signal = ret_error->signal;
        return r;
}

/* A GET of carreld's own state; false when it failed, which is noted. */
static bool look(struct doctor *doctor, enum doctor_check check, const char *path, cJSON **ret_answer)
{
        struct api_error error;

        if (call(doctor, "GET", path, NULL, ret_answer, &error) == 0)
                return true;
        doctor_note(&doctor->findings, check, VERDICT_FAIL, "%s", error.message);
        return false;
}

static void check_ready(struct doctor *doctor)
{
        AUTO(auto_json) cJSON *answer = NULL;

        if (look(doctor, CHECK_READY, "/readyz", &answer))
                doctor_note(&doctor->findings, CHECK_READY, VERDICT_OK, "carreld gives out carrels");
}

/* "podman 4.3.1, the first that can keep every promise; not docker: ..." */
static void check_engine(struct doctor *doctor, const cJSON *info)
{
        AUTO(auto_buffer) struct buffer text = { 0 };
        bool is_available = cJSON_IsTrue(view_find(info, "engine.is_available"));
        const cJSON *engine;

        (void)buffer_format(&text, "%s %s%s", view_text(info, "engine.kind"), view_text(info, "engine.version"),
                            is_available ? "" : " cannot serve");
        if (view_text(info, "engine.detail")[0] != '\0')
                (void)buffer_format(&text, ": %s", view_text(info, "engine.detail"));
        cJSON_ArrayForEach(engine, view_find(info, "engines"))
        {
                bool is_chosen = cJSON_IsTrue(view_find(engine, "is_chosen"));

                (void)buffer_format(&text, "; %s%s: %s", is_chosen ? "" : "not ", view_text(engine, "kind"),
                                    view_text(engine, "reason"));
        }
        doctor_note(&doctor->findings, CHECK_ENGINE, is_available ? VERDICT_OK : VERDICT_FAIL, "%s",
                    text.has_failed ? "" : text.data);
}

/* If all carrels together could fill the table, that is no failure: max_carrels is seldom reached. */
static void check_flows(struct doctor *doctor, const cJSON *info)
{
        double bound = view_number(info, "policy.flows.of_a_carrel_max", 0);
        double size = view_number(info, "policy.flows.table_size", 0);
        double carrels = strtod(view_text(info, "settings.max_carrels"), NULL);

        if (bound <= 0)
                doctor_note(&doctor->findings, CHECK_FLOWS, VERDICT_SKIP, "connections are not bounded: %s",
                            view_text(info, "policy.detail"));
        else if (bound * carrels > size)
                doctor_note(&doctor->findings, CHECK_FLOWS, VERDICT_OK,
                            "at most %.0f for each carrel, but the host's table has %.0f entries, enough for %.0f of "
                            "%.0f carrels: "
                            "raise net.netfilter.nf_conntrack_max to %.0f, or lower max_carrels",
                            bound, size, size / bound, carrels, bound * carrels * 4 / 3);
        else
                doctor_note(&doctor->findings, CHECK_FLOWS, VERDICT_OK,
                            "at most %.0f for each carrel; the host uses %.0f of %.0f", bound,
                            view_number(info, "policy.flows.of_the_host", 0), size);
}

/* Whether the engine has this image; *ret_error says why not. */
static bool has_image(struct doctor *doctor, const char *image, struct api_error *ret_error)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;

        *ret_error = (struct api_error){ .message = "no image can have this name" };
        return cli_path(doctor->cli, "/v1/images", image, "", &path) == STATUS_OK &&
               call(doctor, "GET", path.data, NULL, &answer, ret_error) == 0;
}

/* An ensure that names a profile needs its image; carreld itself starts without it. */
static void check_profiles(struct doctor *doctor, const cJSON *info)
{
        const cJSON *profiles = view_find(info, "sections.profile"), *profile;
        int images = 0;

        cJSON_ArrayForEach(profile, profiles)
        {
                const char *image = view_text(profile, "image");
                struct api_error error;

                if (view_find(profile, "image") == NULL)
                        continue;
                images++;
                if (has_image(doctor, image, &error))
                        continue;
                doctor_note(&doctor->findings, CHECK_PROFILES, VERDICT_FAIL, "profile %s: %s", profile->string,
                            error.message);
                return;
        }
        if (profiles == NULL)
                doctor_note(&doctor->findings, CHECK_PROFILES, VERDICT_SKIP, "carreld does not report it");
        else if (images == 0)
                doctor_note(&doctor->findings, CHECK_PROFILES, VERDICT_SKIP, "no profile names one");
        else
                doctor_note(&doctor->findings, CHECK_PROFILES, VERDICT_OK, "%d of %d profiles name one", images,
                            cJSON_GetArraySize(profiles));
}

static void check_info(struct doctor *doctor)
{
        AUTO(auto_json) cJSON *info = NULL;

        if (!look(doctor, CHECK_ENGINE, "/v1/info", &info)) {
                doctor_skip(&doctor->findings, CHECK_POLICY, CHECK_PROFILES, "carreld does not report it");
                return;
        }
        check_engine(doctor, info);
        (void)snprintf(doctor->resolvers, sizeof doctor->resolvers, "%s", view_text(info, "policy.resolvers"));
        if (str_equal(view_text(info, "settings.dns"), ""))
                doctor->nameless = "dns is empty: name resolution is off";
        else if (str_equal(view_text(info, "settings.policy"), "none") ||
                 cJSON_IsFalse(view_find(info, "policy.can_connect")))
                doctor->nameless = "carrels have no network";
        if (cJSON_IsTrue(view_find(info, "policy.is_in_force")) &&
            !cJSON_IsFalse(view_find(info, "policy.can_connect")) &&
            !str_has_prefix(view_text(info, "policy.detail"), "in force, but"))
                doctor_note(&doctor->findings, CHECK_POLICY, VERDICT_OK, "%.0f heals, %.0f alarms",
                            view_number(info, "policy.heals", 0), view_number(info, "policy.alarms", 0));
        else
                doctor_note(&doctor->findings, CHECK_POLICY, VERDICT_FAIL, "%s", view_text(info, "policy.detail"));
        check_flows(doctor, info);
        doctor_judge_disks(&doctor->findings, info);
        doctor_judge_runtime(&doctor->findings, info);
        doctor_judge_warm(&doctor->findings, info);
        doctor_judge_lxcfs(&doctor->findings, info);
        check_profiles(doctor, info);
}

static bool check_ensure(struct doctor *doctor)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        struct api_error error;

        if (buffer_format(&path, "/v1/carrels/%s", doctor->user) < 0)
                return false;
        if (call(doctor, "PUT", path.data, NULL, &answer, &error) < 0) {
                doctor_note(&doctor->findings, CHECK_ENSURE, VERDICT_FAIL, "%s", error.message);
                return false;
        }
        if (doctor->nameless == NULL && str_equal(view_text(answer, "policy"), "none"))
                doctor->nameless = "carrels have no network"; /* by the default profile */
        doctor_note(&doctor->findings, CHECK_ENSURE, VERDICT_OK, "%s from %s", view_text(answer, "container"),
                    view_text(answer, "image"));
        return true;
}

static cJSON *probe_body(const char *script, const char *address, const char *port)
{
        const char *const argv[] = { "/bin/sh", "-c", script, "doctor", address, port };
        cJSON *body = cJSON_CreateObject();
        cJSON *list = cJSON_CreateStringArray(argv, sizeof argv / sizeof *argv);

        if (list == NULL || !cJSON_AddItemToObject(body, "argv", list))
                cJSON_Delete(list);
        else if (cJSON_AddNumberToObject(body, "timeout_s", PROBE_TIMEOUT_S) != NULL)
                return body;
        cJSON_Delete(body);
        return NULL;
}

/* Runs a script in the probe. false: it proves nothing, and ret_reason says why. */
static bool run_probe(struct doctor *doctor, const char *script, const char *address, const char *port,
                      struct buffer *ret_report, struct buffer *ret_reason)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *body = probe_body(script, address, port);
        AUTO(auto_json) cJSON *answer = NULL;
        struct api_error error = { .message = "out of memory" };

        if (body == NULL || buffer_format(&path, "/v1/carrels/%s/exec", doctor->user) < 0 ||
            call(doctor, "POST", path.data, body, &answer, &error) < 0) {
                (void)buffer_text(ret_reason, error.message);
                return false;
        }
        if (!str_equal(view_text(answer, "cause"), "exit") || view_number(answer, "exit_code", -1) != 0) {
                (void)buffer_format(ret_reason, "/bin/sh in the image ended with %s %.0f: %.200s",
                                    view_text(answer, "cause"), view_number(answer, "exit_code", -1),
                                    view_text(answer, "stderr"));
                return false;
        }
        return buffer_text(ret_report, view_text(answer, "stdout")) == 0;
}

static const char *text_of(const struct buffer *buffer)
{
        return buffer->data != NULL ? buffer->data : "out of memory";
}

static void check_inside(struct doctor *doctor)
{
        AUTO(auto_buffer) struct buffer report = { 0 };
        AUTO(auto_buffer) struct buffer reason = { 0 };

        if (run_probe(doctor, DOCTOR_INSIDE_SCRIPT, "", "", &report, &reason))
                doctor_judge_inside(&doctor->findings, report.data);
        else
                doctor_skip(&doctor->findings, CHECK_USER, CHECK_COUNTS, text_of(&reason));
}

static double dropped_packets(struct doctor *doctor)
{
        AUTO(auto_json) cJSON *info = NULL;
        struct api_error error;

        if (call(doctor, "GET", "/v1/info", NULL, &info, &error) < 0)
                return 0;
        return view_number(info, "policy.dropped_packets", 0);
}

static void check_denied(struct doctor *doctor)
{
        AUTO(auto_buffer) struct buffer report = { 0 };
        AUTO(auto_buffer) struct buffer reason = { 0 };
        double before = dropped_packets(doctor);
        double rise = 0;

        if (!run_probe(doctor, DOCTOR_EGRESS_SCRIPT, DENIED_ADDRESS, DENIED_PORT, &report, &reason)) {
                doctor_skip(&doctor->findings, CHECK_EGRESS_DENIED, CHECK_EGRESS_DENIED, text_of(&reason));
                return;
        }
        for (int i = 0; i < COUNTER_WAITS && rise <= 0 && doctor->signal == 0; i++) {
                api_client_wait(doctor->cli->api, COUNTER_WAIT_S);
                rise = dropped_packets(doctor) - before;
        }
        doctor_judge_denied(&doctor->findings, "169.254.169.254:80", report.data, rise);
}

/* --allowed is "ADDRESS:PORT"; run has checked that. */
static void check_allowed(struct doctor *doctor)
{
        AUTO(auto_buffer) struct buffer address = { 0 };
        AUTO(auto_buffer) struct buffer report = { 0 };
        AUTO(auto_buffer) struct buffer reason = { 0 };
        const char *colon = doctor->allowed != NULL ? strrchr(doctor->allowed, ':') : NULL;

        if (colon == NULL) {
                doctor_skip(&doctor->findings, CHECK_EGRESS_ALLOWED, CHECK_EGRESS_ALLOWED,
                            "to check it, name a target with --allowed ADDRESS:PORT");
                return;
        }
        if (buffer_append(&address, doctor->allowed, (size_t)(colon - doctor->allowed)) == 0 &&
            run_probe(doctor, DOCTOR_EGRESS_SCRIPT, address.data, colon + 1, &report, &reason))
                doctor_judge_allowed(&doctor->findings, doctor->allowed, report.data);
        else
                doctor_skip(&doctor->findings, CHECK_EGRESS_ALLOWED, CHECK_EGRESS_ALLOWED, text_of(&reason));
}

static void check_names(struct doctor *doctor)
{
        static const char NAME[] = "example.com"; /* reserved by RFC 2606 */
        AUTO(auto_buffer) struct buffer report = { 0 };
        AUTO(auto_buffer) struct buffer reason = { 0 };

        if (doctor->nameless != NULL)
                doctor_skip(&doctor->findings, CHECK_NAMES, CHECK_NAMES, doctor->nameless);
        else if (doctor->resolvers[0] == '\0')
                doctor_note(&doctor->findings, CHECK_NAMES, VERDICT_FAIL,
                            "dns is auto, but the host has no resolver that a carrel can reach");
        else if (run_probe(doctor, DOCTOR_NAMES_SCRIPT, NAME, "", &report, &reason))
                doctor_judge_names(&doctor->findings, NAME, doctor->resolvers, report.data);
        else
                doctor_skip(&doctor->findings, CHECK_NAMES, CHECK_NAMES, text_of(&reason));
}

/* Also after a failed ensure, which may have created something. */
static void check_remove(struct doctor *doctor, bool is_ensured)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        struct api_error error;

        if (buffer_format(&path, "/v1/carrels/%s", doctor->user) < 0)
                return;
        if (api_call(doctor->cli->api, "DELETE", path.data, NULL, &answer, &error) == 0)
                doctor_note(&doctor->findings, CHECK_REMOVE, VERDICT_OK, "%s", doctor->user);
        else if (!is_ensured && str_equal(error.code, "not_found"))
                doctor_note(&doctor->findings, CHECK_REMOVE, VERDICT_SKIP, "nothing was created");
        else
                doctor_note(&doctor->findings, CHECK_REMOVE, VERDICT_FAIL, "%s: %s", doctor->user, error.message);
}

static void examine(struct doctor *doctor)
{
        AUTO(auto_json) cJSON *answer = NULL;

        if (!look(doctor, CHECK_SOCKET, "/healthz", &answer)) {
                doctor_skip(&doctor->findings, CHECK_READY, CHECK_REMOVE, "needs the socket");
                return;
        }
        doctor_note(&doctor->findings, CHECK_SOCKET, VERDICT_OK, "%s", doctor->cli->socket_path);
        check_ready(doctor);
        check_info(doctor);
        bool is_ensured = doctor->signal == 0 && check_ensure(doctor);
        if (is_ensured) {
                check_inside(doctor);
                if (doctor->signal == 0)
                        check_denied(doctor);
                if (doctor->signal == 0)
                        check_allowed(doctor);
                if (doctor->signal == 0)
                        check_names(doctor);
        } else {
                doctor_skip(&doctor->findings, CHECK_USER, CHECK_NAMES, "needs a carrel");
        }
        /* In any case remove the probe's carrel, and wait for that. */
        api_client_heed(doctor->cli->api, -1);
        check_remove(doctor, is_ensured);
}

static int print_mends(const struct cli *cli, const cJSON *findings)
{
        const cJSON *finding;

        cJSON_ArrayForEach(finding, findings)
        {
                AUTO(auto_buffer) struct buffer line = { 0 };

                if (view_find(finding, "mend") == NULL)
                        continue;
                (void)buffer_format(&line, "%s: %s. To fix it: %s.", view_text(finding, "check"),
                                    view_text(finding, "detail"), view_text(finding, "mend"));
                if (line.has_failed || cli_print_line(cli, line.data) < 0)
                        return cli_no_memory(cli);
        }
        return STATUS_OK;
}

static int show(const struct cli *cli, const cJSON *all)
{
        const cJSON *findings = view_find(all, "checks");

        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, all));
        if (!cli->is_quiet && view_rows(cli, FIELDS, findings) < 0)
                return cli_no_memory(cli);
        return print_mends(cli, findings);
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct doctor_values *chosen = values;
        AUTO(auto_json) cJSON *all = cJSON_CreateObject();
        struct doctor doctor = { .cli = cli, .allowed = chosen->allowed };
        uint32_t random = 0;

        doctor.findings.array = cJSON_AddArrayToObject(all, "checks");
        if (doctor.findings.array == NULL)
                return cli_no_memory(cli);
        if (chosen->allowed != NULL && strrchr(chosen->allowed, ':') == NULL)
                return cli_fail_usage(cli, "doctor", "--allowed needs ADDRESS:PORT");
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
                return STATUS_FAILED;
        (void)snprintf(doctor.user, sizeof doctor.user, "doctor-%08x", random);
        if (cli->width > 0 && !cli->is_quiet && !cli_is_json(cli))
                cli_complain(cli, "checking in a temporary carrel; this takes some seconds");
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        api_client_heed(cli->api, interrupt_fd);
        examine(&doctor);
        if (doctor.signal != 0)
                return 128 + doctor.signal;
        if (doctor.findings.has_failed_to_note ||
            cJSON_AddNumberToObject(all, "failed", doctor.findings.failures) == NULL)
                return cli_no_memory(cli);
        int status = show(cli, all);
        return status == STATUS_OK && doctor.findings.failures > 0 ? STATUS_FAILED : status;
}

const struct verb CMD_DOCTOR = {
        .name = "doctor",
        .operands = "",
        .summary = "Check carrel's promises on this machine, and say how to fix failures",
        .help = "Creates a carrel for a user doctor-<random>, checks it from inside, and removes it. SKIP says why\n"
                "a check was not possible. Exits 1 when a check fails; -q prints only those.",
        .examples = "  carrel doctor\n  carrel doctor --allowed 192.0.2.10:443",
        .options = OPTIONS,
        .values_size = sizeof(struct doctor_values),
        .is_slow = true,
        .run = run,
};
