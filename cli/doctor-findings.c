#include "doctor-findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "inside.h"

#define MEND_TEMPLATE                                                                                                  \
        "the container is weaker than carreld requested: check the setting runtime in carrel.conf(5), and try "        \
        "without "                                                                                                     \
        "it"

static const struct {
        const char *name;
        const char *mend;
} TABLE[CHECKS] = {
        [CHECK_SOCKET] = { "socket", "start carreld (systemctl start carreld), join the group carrel, or name the "
                                     "socket with --socket" },
        [CHECK_READY] = { "ready", "carreld's log has the reason (journalctl -u carreld)" },
        [CHECK_ENGINE] = { "engine", "start the engine (systemctl start docker, or podman.socket), or set engine and "
                                     "engine_socket "
                                     "in carrel.conf(5)" },
        [CHECK_POLICY] = { "policy in force",
                           "see `carrel policy` and carreld's log: the kernel needs the iptables tables raw, filter, "
                           "nat and mangle; carrel-netd needs CAP_NET_ADMIN and CAP_NET_RAW" },
        [CHECK_FLOWS] = { "connections bounded",
                          "load nf_conntrack, xt_connlimit and xt_hashlimit (modprobe), then reload carreld" },
        [CHECK_DISKS] = { "disk space", "free space on the file system of the named setting, or set it to a larger one "
                                        "in carrel.conf(5); if it does not answer, check its mount" },
        [CHECK_RUNTIME] = { "records in memory",
                            "mount a tmpfs on runtime_dir, or set runtime_dir in carrel.conf(5) to a directory on a "
                            "tmpfs (below /run); remove the carrels first, and restart carreld" },
        [CHECK_WARM] = { "warm carrels",
                         "remove that reason: get a missing image (`carrel image load`, `pull` or `build`), or set a "
                         "higher max_carrels, a larger network_cidr or a smaller warm in carrel.conf(5); carrel-mountd "
                         "must be in helper_dir. carreld's log has each failure (warm_failed, claim_failed)" },
        [CHECK_LXCFS] = { "lxcfs",
                          "start it again (systemctl restart lxcfs), then remove the carrels that were made before "
                          "(`carrel rm`)" },
        [CHECK_PROFILES] = { "images of profiles",
                             "get the image (`carrel image load`, `pull` or `build`), or correct image in that section "
                             "of carrel.conf(5) and reload carreld" },
        [CHECK_ENSURE] = { "ensure", "fix the reported error, then repeat with `carrel ensure USER`" },
        [CHECK_USER] = { "user is not root", "set uid and gid in carrel.conf(5) to an account other than root" },
        [CHECK_CAPABILITIES] = { "no capability", MEND_TEMPLATE },
        [CHECK_NEW_PRIVILEGES] = { "no new privileges", MEND_TEMPLATE },
        [CHECK_SECCOMP] = { "seccomp filter", MEND_TEMPLATE ". The kernel needs CONFIG_SECCOMP_FILTER" },
        [CHECK_INIT] = { "agent is unreadable", "chmod 0711 carrel-init in helper_dir (carrel.conf(5)), then remove "
                                                "the running carrels (`carrel rm`)" },
        [CHECK_ROOT] = { "root is read-only", MEND_TEMPLATE },
        [CHECK_TMP] = { INSIDE_TMP " is writable", "see tmp_size in carrel.conf(5)" },
        [CHECK_WORKSPACE] = { INSIDE_WORKSPACE " is writable",
                              "the user's directory below users_dir must belong to uid and gid "
                              "of carrel.conf(5)" },
        [CHECK_PIDS] = { "pids limit", "the engine must be able to use the pids cgroup" },
        [CHECK_MEMORY] = { "memory limit", "the engine must be able to use the memory cgroup" },
        [CHECK_COUNTS] = { "counts of its own", MEND_TEMPLATE },
        [CHECK_EGRESS_DENIED] = { "egress denied", "stop using carrels: a denied address answers. Check `carrel "
                                                   "policy`, and deny and allow in carrel.conf(5)" },
        [CHECK_EGRESS_ALLOWED] = { "egress allowed",
                                   "the host drops packets that the policy allows: check net.ipv4.ip_forward and the "
                                   "FORWARD chain of the host's firewall" },
        [CHECK_NAMES] = { "names resolve",
                          "set dns in carrel.conf(5) to resolvers that a carrel can reach, reload carreld, and remove "
                          "the carrel. `carrel policy` shows the current ones; one that listens only on the host's "
                          "loopback, or answers only the host, is unreachable" },
        [CHECK_REMOVE] = { "probe removed", "remove it with `carrel rm`, or wait until it is reaped" },
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
