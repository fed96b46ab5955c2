//! How to mend what went wrong: the half of each message that the user can act on.
//!
//! Kept apart from what happened, because a log line wants both in one sentence ([`Error::told`]) and
//! `check` wants them side by side. Every error has one.

use crate::broken::{Kind, Leg, TransportError};
use crate::certificate::Fault;
use crate::error::Error;
use crate::misconfigured::Misconfigured;
use crate::refusal::{Refusal, is_throttling};
use crate::text::shell_word;
use std::io;
use std::path::Path;

/// For a file system that is full.
pub(crate) const ROOM: &str =
    "make room on its file system; if the journal is there too, `journalctl --vacuum-size=100M` shrinks it";

/// What others say may end with a full stop, or with the dots of what was cut off.
fn sentence(what: &str, remedy: &str) -> String {
    let what = what.strip_suffix('.').filter(|w| !w.ends_with('.')).unwrap_or(what);
    format!("{what}; {remedy}")
}

impl Error {
    /// What happened and how to mend it, as one sentence.
    pub(crate) fn told(&self) -> String {
        sentence(&self.to_string(), &self.remedy())
    }

    pub(crate) fn remedy(&self) -> String {
        match self {
            Error::Configuration(wrong) => wrong.remedy(),
            Error::Refused { action, refusal, .. } => of_refusal(action, refusal),
            Error::Failure { reason, .. } => of_failure(reason).to_owned(),
            Error::NotAsked { error: inner, .. } | Error::GaveUp { last: inner, .. } => inner.remedy(),
            other => plain(other).to_owned(),
        }
    }
}

/// The remedies that name nothing of the error.
fn plain(error: &Error) -> &'static str {
    match error {
        Error::Agent(_) => {
            "look at `systemctl status ecs` and /var/log/ecs/ecs-agent.log: it answers when it has registered, which takes an instance profile and a way to ECS"
        }
        Error::AgentStatus { .. } => "if it stays so, look at /var/log/ecs/ecs-agent.log",
        Error::NotRegistered { .. } => {
            "if it stays so, look in /var/log/ecs/ecs-agent.log for what ECS answers to RegisterContainerInstance"
        }
        Error::AgentAnswer { .. } | Error::InstanceArn { .. } => {
            "mend ECS_START_TASK_AGENT_URL, or find out what listens there"
        }
        Error::Imds(_) => {
            "let no firewall rule hide 169.254.169.254 and, from where you may, turn IMDS on: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-endpoint enabled`; HttpTokens may stay required. If this runs in a container, raise the hop limit: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-put-response-hop-limit 2`"
        }
        Error::ImdsStatus { .. } => {
            "if it stays so, look at what answers there and at AWS_EC2_METADATA_SERVICE_ENDPOINT"
        }
        Error::ImdsForbidden { .. } => {
            "turn it on, from where you may: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-endpoint enabled`"
        }
        Error::NoRole { .. } => "attach an instance profile with a role that may ecs:StartTask",
        Error::RoleCode { .. } => {
            "look at the role's trust policy (ec2.amazonaws.com must be able to assume it)"
        }
        Error::ImdsAnswer { .. } => "look at what answers there and at AWS_EC2_METADATA_SERVICE_ENDPOINT",
        Error::Expired { .. } => {
            "look at this host's clock (`chronyc tracking`); IMDS has new ones some minutes before the old ones end"
        }
        other => of_the_call(other),
    }
}

/// The same for what comes between here and ECS, and for the tasks.
fn of_the_call(error: &Error) -> &'static str {
    match error {
        Error::Unreachable(error) => of_the_way(error),
        Error::Certificate { error, .. } => of_the_way(error),
        Error::NoAnswer(_) | Error::Unreadable { .. } | Error::OpenQuestion => {
            "whoever runs this program next in this boot finds out before anything is sent; if it stays so, look at what lies between here and ECS (proxy, NAT, VPC endpoint)"
        }
        Error::Stopped { .. } => {
            "look at the container's log, and at image, command and roles in the task definition"
        }
        Error::NotRunning { .. } => {
            "look at what holds its containers up (`docker ps -a`, /var/log/ecs/ecs-agent.log)"
        }
        Error::Locked { .. } => "wait for it, or find out what it waits for",
        Error::NoTime => "look at what held up the others, or raise ECS_START_TASK_TIMEOUT",
        _ => "report it as a bug, with the log of a run with -vv",
    }
}

/// What to do about a way to ECS that ends too early.
fn of_the_way(error: &TransportError) -> &'static str {
    match (&error.kind, &error.leg) {
        (Kind::Certificate { fault: Fault::Time, .. }, _) => {
            "look at this host's clock (`chronyc tracking`); if it is right, have the certificate renewed"
        }
        (Kind::Certificate { fault: Fault::Name, .. }, Leg::ToProxy(_)) => {
            "give the proxy (HTTPS_PROXY) by the name in its certificate, and look at what the name resolves to"
        }
        (Kind::Certificate { fault: Fault::Name, .. }, _) => {
            "look at the address (AWS_ENDPOINT_URL_ECS) and at what it resolves to: something else answers there"
        }
        (Kind::Certificate { fault: Fault::Other, .. }, _) => {
            "give the issuer's with AWS_CA_BUNDLE or --ca-bundle"
        }
        (Kind::NoName, Leg::ToProxy(_)) => {
            "look at the name server (/etc/resolv.conf) and at the spelling of the proxy (HTTPS_PROXY, HTTP_PROXY, /etc/ecs/ecs.config)"
        }
        (Kind::NoName, _) => {
            "look at the name server (/etc/resolv.conf, DNS support of the VPC, private DNS of the VPC endpoint) and at the spelling of the address"
        }
        (_, Leg::ToProxy(_)) => {
            "let the proxy listen there and this instance reach it (routes, security groups), mend HTTPS_PROXY, or exempt ECS with NO_PROXY"
        }
        (_, Leg::BeyondProxy(_)) => {
            "let the proxy pass CONNECT to ECS, give it the user:password that it wants (HTTPS_PROXY), or exempt ECS with NO_PROXY"
        }
        (_, Leg::Direct) => {
            "look at the route to it (NAT, VPC endpoint com.amazonaws.REGION.ecs, security groups), or name a proxy with HTTPS_PROXY"
        }
    }
}

fn of_refusal(action: &str, refusal: &Refusal) -> String {
    let role = &refusal.role;
    match refusal.code.as_str() {
        "AccessDeniedException" if refusal.message.contains("iam:PassRole") => {
            format!("allow role {role} iam:PassRole on the roles of the task definition")
        }
        "AccessDeniedException" if action == "StartTask" => format!(
            "allow role {role} ecs:StartTask on the task definition, and iam:PassRole on its roles if it has any"
        ),
        "AccessDeniedException" => format!("allow role {role} ecs:{action}"),
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" => format!(
            "the credentials of role {role} are not accepted: look at the instance profile and at this host's clock"
        ),
        "ClusterNotFoundException" => {
            "the cluster that this instance registered in is gone: launch another instance into one that is there. Another ECS_CLUSTER does not move this one, for its agent ends when that is not the cluster of its checkpoint in /var/lib/ecs/data".to_owned()
        }
        "ClientException" | "InvalidParameterException" => {
            "look at the task definition's name, revision and state, and at the request".to_owned()
        }
        _ if is_throttling(&refusal.code) => {
            "all calls of the account in this region share one limit: launch fewer instances at once, or ask AWS for more".to_owned()
        }
        _ if refusal.status >= 500 => "if it stays so, look at the AWS Health Dashboard".to_owned(),
        _ => "look it up under \"Common Errors\" in the ECS API reference".to_owned(),
    }
}

/// What to do about a reason in `failures[]` ("API failure reasons" in the ECS developer guide).
fn of_failure(reason: &str) -> &'static str {
    match reason.split(':').next().unwrap_or_default() {
        "AGENT" => {
            "the agent is not connected to ECS yet, or has lost its connection: if it stays so, look at /var/log/ecs/ecs-agent.log"
        }
        "RESOURCE" => "the instance has too little left: stop something, or ask for less",
        "MISSING" => "ECS does not know this instance: look at the cluster and the region",
        "INACTIVE" => {
            "the instance was deregistered from its cluster: restart the ECS agent or replace the instance"
        }
        "ATTRIBUTE" => {
            "the instance lacks an attribute that the task definition requires: take another image or agent, or require less"
        }
        "LOCATION" => {
            "a subnet of the request is in another availability zone than the instance: give one of the same"
        }
        _ => "look it up under \"API failure reasons\" in the ECS developer guide",
    }
}

/// What to do about a path that this process cannot use. Under the unit root sees less than at a prompt, and
/// may do no more than any user to what is not its own.
pub(crate) fn of_path(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "let the unit write there (ReadWriteDirectories= in a drop-in; `ecs-start-task check` tells the place)"
        }
        io::ErrorKind::PermissionDenied if rustix::process::geteuid().is_root() => {
            "take a place outside of /root and /home, which the unit does not see, and give it to root"
        }
        io::ErrorKind::StorageFull => ROOM,
        io::ErrorKind::PermissionDenied => "mend its permissions, or start as root",
        io::ErrorKind::NotFound => {
            "mend the path (the unit does not see what is in /root, /home, /tmp and /var/tmp)"
        }
        _ => "mend the path",
    }
}

/// What to do about a log file that cannot be written.
pub(crate) fn of_log_file(path: &Path, error: &io::Error) -> String {
    let remedy = match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => {
            format!("make its directory (`mkdir -p {}`)", shell_word(&parent.to_string_lossy()))
        }
        _ => of_path(error).to_owned(),
    };
    format!("{remedy}, or set ECS_START_TASK_LOG_FILE to another")
}

impl Misconfigured {
    /// What is wrong and how to mend it, as one sentence.
    pub(crate) fn told(&self) -> String {
        sentence(&self.to_string(), &self.remedy())
    }

    pub(crate) fn remedy(&self) -> String {
        use Misconfigured::*;
        let remedy = match self {
            SettingUnknown { nearest: Some(name), .. } => return format!("did you mean {name}?"),
            SettingUnknown { nearest: None, .. } => "the names are in ecs-start-task.conf(5)",
            SettingInvalid { .. } => "mend or remove it",
            NotKeyValue { .. } => "mend the line, or begin it with #",
            File { source, .. } => of_path(source),
            NothingToStart => {
                "set ECS_START_TASK_DEFINITION in /etc/ecs/ecs-start-task.conf, put a request document into /etc/ecs/ecs-start-task.d/, or give --task-definition"
            }
            Definition { .. } => "give a family, family:revision or its ARN",
            Document { .. } => {
                "mend the document: it has the members that `aws ecs start-task --generate-cli-skeleton` prints"
            }
            Twice { .. } => "remove one of the two",
            Cluster { .. } => {
                "ask for the other, or launch an instance into that cluster: ECS_CLUSTER in /etc/ecs/ecs.config counts until the agent has registered"
            }
            EndpointConflict => "unset the one or the others",
            ImdsDisabled => "unset it",
            Partition { .. } => "give the ECS endpoint with AWS_ENDPOINT_URL_ECS",
            CaBundle { source, .. } => {
                return format!("{}, or mend AWS_CA_BUNDLE or --ca-bundle", of_path(source));
            }
            Tls { .. } => "report it as a bug",
            Proxy { .. } => "give http://host:port, https://host:port or host:port",
            Address(_) => "mend the address in the settings",
            UserData => "use `systemctl enable --now --no-block ecs-start-task`",
            State { source, .. } => {
                return format!("{}, or set ECS_START_TASK_STATE_DIR to another", of_path(source));
            }
            Record { .. } => "remove it when no task is being started",
        };
        remedy.to_owned()
    }
}
