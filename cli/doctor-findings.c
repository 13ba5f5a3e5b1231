#include "doctor-findings.h"

#include <stdarg.h>
#include <stdio.h>

#define MEND_TEMPLATE                                                                                                  \
        "the container is weaker than carreld asked for: see the setting runtime in carrel.conf(5), and try without "  \
        "it"

static const struct {
        const char *name;
        const char *mend;
} TABLE[CHECKS] = {
        [CHECK_SOCKET] = { "socket", "do what the sentence says" },
        [CHECK_READY] = { "ready", "see why in carreld's log (journalctl -u carreld)" },
        [CHECK_ENGINE] = { "engine", "start the engine (systemctl start docker, or podman.socket), or set engine and "
                                     "engine_socket "
                                     "in carrel.conf(5)" },
        [CHECK_POLICY] = { "policy in force", "see `carrel policy` and carreld's log: the kernel needs iptables tables "
                                              "(raw, filter, nat, mangle), carrel-netd CAP_NET_ADMIN and CAP_NET_RAW" },
        [CHECK_FLOWS] = { "connections bounded", "load the modules that the sentence names, then reload carreld" },
        [CHECK_DISKS] = { "disk space", "make room on the file system that the sentence names, or give that setting of "
                                        "carrel.conf(5) a larger one of its own; one that does not answer: look at "
                                        "its mount" },
        [CHECK_ENSURE] = { "ensure", "do what the sentence says; `carrel ensure USER` tries again" },
        [CHECK_USER] = { "user is not root", "set uid and gid in carrel.conf(5) to an account that is not root's" },
        [CHECK_CAPABILITIES] = { "no capability", MEND_TEMPLATE },
        [CHECK_NEW_PRIVILEGES] = { "no new privileges", MEND_TEMPLATE },
        [CHECK_SECCOMP] = { "seccomp filter", MEND_TEMPLATE ". The kernel needs CONFIG_SECCOMP_FILTER" },
        [CHECK_INIT] = { "agent is unreadable",
                         "chmod 0711 carrel-init in helper_dir (carrel.conf(5)), then `carrel rm` "
                         "the carrels that run" },
        [CHECK_ROOT] = { "root is read-only", MEND_TEMPLATE },
        [CHECK_TMP] = { "/tmp is writable", "see tmp_size in carrel.conf(5)" },
        [CHECK_WORKSPACE] = { "/workspace is writable",
                              "the user's directory below users_dir must belong to uid and gid "
                              "of carrel.conf(5)" },
        [CHECK_PIDS] = { "pids limit", "the engine must be able to use the pids cgroup" },
        [CHECK_MEMORY] = { "memory limit", "the engine must be able to use the memory cgroup" },
        [CHECK_COUNTS] = { "counts of its own", MEND_TEMPLATE },
        [CHECK_EGRESS_DENIED] = { "egress denied", "stop handing out carrels: something answers that must not. See "
                                                   "`carrel policy`, deny and allow in carrel.conf(5)" },
        [CHECK_EGRESS_ALLOWED] = { "egress allowed",
                                   "the host drops what the policy allows: see net.ipv4.ip_forward and "
                                   "the FORWARD chain of the host's firewall" },
        [CHECK_NAMES] = { "names resolve",
                          "name resolvers that a carrel can reach in dns of carrel.conf(5), then reload carreld and "
                          "make the carrel anew. `carrel policy` shows those in use; one that listens on the host's "
                          "loopback only, or answers nobody but the host, is out of reach" },
        [CHECK_REMOVE] = { "probe removed", "`carrel rm` it, or wait until it is reaped" },
};

static const char *const RESULTS[] = { [VERDICT_OK] = "OK", [VERDICT_FAIL] = "FAIL", [VERDICT_SKIP] = "SKIP" };

void doctor_note(struct doctor_findings *findings, enum doctor_check check, enum doctor_verdict verdict,
                 const char *format, ...)
{
        char detail[512];
        cJSON *finding = cJSON_CreateObject();
        va_list args;

        va_start(args, format);
        (void)vsnprintf(detail, sizeof detail, format, args);
        va_end(args);
        if (verdict == VERDICT_FAIL)
                findings->failures++;
        if (cJSON_AddStringToObject(finding, "check", TABLE[check].name) == NULL ||
            cJSON_AddStringToObject(finding, "result", RESULTS[verdict]) == NULL ||
            cJSON_AddStringToObject(finding, "detail", detail) == NULL ||
            (verdict == VERDICT_FAIL && cJSON_AddStringToObject(finding, "mend", TABLE[check].mend) == NULL) ||
            !cJSON_AddItemToArray(findings->array, finding)) {
                cJSON_Delete(finding);
                findings->has_failed_to_note = true;
        }
}

void doctor_skip(struct doctor_findings *findings, enum doctor_check first, enum doctor_check last, const char *reason)
{
        for (unsigned check = first; check <= (unsigned)last; check++)
                doctor_note(findings, (enum doctor_check)check, VERDICT_SKIP, "%s", reason);
}
