//! How to fix what went wrong: the half of each message that the user can act on.
//!
//! Kept apart from what happened, because a log line wants both in one sentence ([`Error::message_with_hint`]) and
//! `check` wants them side by side. Every error has one.

use crate::error::Error;
use crate::error::refusal::{Refusal, SERVER_EXCEPTION, is_throttling};
use crate::files;
use crate::net::certificate::Fault;
use crate::net::error::{Hop, Kind, TransportError};
use crate::text::sentence;
use std::time::Duration;

/// Advice comes after this much waiting, as most of what is waited for takes less.
const ADVICE_AFTER: Duration = Duration::from_secs(60);

impl Error {
    /// What happened, and how to fix it once it has lasted for so long.
    pub(crate) fn message_after(&self, waited: Duration) -> String {
        if waited < ADVICE_AFTER { self.to_string() } else { self.message_with_hint() }
    }

    /// What happened and how to fix it, as one sentence.
    pub(crate) fn message_with_hint(&self) -> String {
        sentence(&self.to_string(), &self.hint())
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Error::Configuration(wrong) => wrong.hint(),
            Error::State { path, source } => files::of_state_directory(path, source),
            Error::Refused { action, refusal, .. } => of_refusal(action, refusal),
            Error::Failure { reason, .. } => of_failure(reason).to_owned(),
            Error::NotAsked { error: inner, .. } | Error::GaveUp { last: inner, .. } => inner.hint(),
            other => plain(other).to_owned(),
        }
    }
}

/// The hints without a detail of the error in them, first those about the agent.
fn plain(error: &Error) -> &'static str {
    match error {
        Error::Agent(TransportError { kind: Kind::Stranger(_), .. }) => {
            "the agent listens as root: `ss -ltnp` names the process that has its port"
        }
        Error::Agent(_) => {
            "check `systemctl status ecs` and /var/log/ecs/ecs-agent.log: the agent responds only after registering, which requires an instance profile and network access to ECS"
        }
        Error::AgentStatus { .. } => "if this persists, check /var/log/ecs/ecs-agent.log",
        Error::NotRegistered { .. } => {
            "if this persists, check /var/log/ecs/ecs-agent.log for ECS's response to RegisterContainerInstance"
        }
        Error::AgentAnswer { .. } | Error::InstanceArn { .. } => {
            "fix ECS_START_TASK_AGENT_URL, or find out what listens there (`ss -ltnp`)"
        }
        Error::UnknownPartition { .. } => "set the ECS endpoint with AWS_ENDPOINT_URL_ECS",
        Error::AgentListTooLarge { .. } => {
            "check that the ECS agent is what listens there; if it is, report this as a bug"
        }
        other => of_imds(other),
    }
}

/// The same for IMDS and what it gives.
fn of_imds(error: &Error) -> &'static str {
    match error {
        Error::Imds(error) if matches!(error.kind, Kind::NoRoute(_)) => {
            "check the routes of this instance; if it has only IPv6, enable IMDS for IPv6: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-protocol-ipv6 enabled`, and set AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6"
        }
        Error::Imds(_) => {
            "check that this is an EC2 instance, that no firewall blocks 169.254.169.254, and that IMDS is enabled: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-endpoint enabled`. In a container, also raise the hop limit: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-put-response-hop-limit 2`"
        }
        Error::ImdsStatus { .. } | Error::NoValue { .. } => {
            "if this persists, check what responds there, and AWS_EC2_METADATA_SERVICE_ENDPOINT"
        }
        Error::ImdsForbidden { .. } => {
            "enable IMDS: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-endpoint enabled`"
        }
        Error::NoRole { .. } => "attach an instance profile whose role has the permission ecs:StartTask",
        Error::RoleCode { .. } => {
            "check the role's trust policy: ec2.amazonaws.com must be allowed to assume it"
        }
        Error::ImdsAnswer { .. } => "check what responds there, and AWS_EC2_METADATA_SERVICE_ENDPOINT",
        Error::Expired { .. } => {
            "check this host's clock (`chronyc tracking`); IMDS provides new credentials some minutes before the old ones expire"
        }
        other => of_the_call(other),
    }
}

/// The same for the calls to ECS, and for the tasks.
fn of_the_call(error: &Error) -> &'static str {
    match error {
        Error::Unreachable(error) => of_connection(error),
        Error::Certificate { error, .. } => of_connection(error),
        Error::NoAnswer(_) | Error::Unreadable { .. } | Error::OpenQuestion => {
            "the next run checks this before it sends anything; if this persists, check the network path to ECS (proxy, NAT, VPC endpoint)"
        }
        Error::Stopped { .. } => {
            "check the container's log, and the image, command and roles in the task definition"
        }
        Error::NotRunning { .. } => {
            "check what delays its containers (`docker ps -a`, /var/log/ecs/ecs-agent.log)"
        }
        Error::Locked { .. } => {
            "wait until it exits, or check what it is waiting for (`systemctl status ecs-start-task`)"
        }
        Error::Kept { .. } => {
            "only that process starts it again; to start one that nobody restarts, add --restart no --when-draining keep"
        }
        Error::NoTime => "check what delayed the other tasks, or raise ECS_START_TASK_TIMEOUT",
        _ => "report this as a bug, with the log of a run with -vv",
    }
}

/// What to do about a connection to ECS that cannot be made.
fn of_connection(error: &TransportError) -> &'static str {
    match (&error.kind, &error.hop) {
        (Kind::Certificate { fault, .. }, hop) => of_certificate(*fault, hop),
        (Kind::NoName, hop) => of_name(&error.request, hop),
        (_, Hop::ToProxy(_)) => {
            "check that the proxy listens there and that this instance can reach it (routes, security groups), fix HTTPS_PROXY, or exempt ECS with NO_PROXY"
        }
        (_, Hop::BeyondProxy(_)) if error.request.contains(" http://") => {
            "allow CONNECT to this host and port in the proxy, as plain http is tunneled too; or use an https endpoint, or exempt ECS with NO_PROXY"
        }
        (_, Hop::BeyondProxy(_)) => {
            "allow CONNECT to ECS in the proxy, add the user:password that it requires to HTTPS_PROXY, or exempt ECS with NO_PROXY"
        }
        (Kind::NoRoute(_), Hop::Direct) => {
            "check the routes of this instance; if it has only IPv6, set AWS_USE_DUALSTACK_ENDPOINT=true, or set a proxy with HTTPS_PROXY"
        }
        (_, Hop::Direct) => {
            "check the route to ECS (NAT, VPC endpoint com.amazonaws.REGION.ecs, security groups), or set a proxy with HTTPS_PROXY"
        }
    }
}

fn of_certificate(fault: Fault, hop: &Hop) -> &'static str {
    match (fault, hop) {
        (Fault::Time, _) => {
            "check this host's clock (`chronyc tracking`); if it is right, renew the certificate"
        }
        (Fault::Name, Hop::ToProxy(_)) => {
            "set HTTPS_PROXY to the name in the proxy's certificate, and check what that name resolves to"
        }
        (Fault::Name, _) => {
            "check AWS_ENDPOINT_URL_ECS and what its name resolves to: another server responds there"
        }
        (Fault::Authority, _) => {
            "install a server certificate with CA:FALSE: one that this CA issued, or a self-signed one (`openssl req -x509 -addext basicConstraints=CA:FALSE`)"
        }
        (Fault::Other, _) => {
            "trust the issuer: set AWS_CA_BUNDLE or --ca-bundle to a PEM file with its certificate"
        }
    }
}

/// Names of FIPS and dual-stack endpoints are this program's own: a custom endpoint goes with neither setting.
fn of_name(request: &str, hop: &Hop) -> &'static str {
    match hop {
        Hop::ToProxy(_) => {
            "check the name server (/etc/resolv.conf) and the spelling of the proxy (HTTPS_PROXY, HTTP_PROXY, /etc/ecs/ecs.config)"
        }
        _ if request.contains("://ecs-fips.") => {
            "check the name server (/etc/resolv.conf); not every Region has a FIPS endpoint: AWS_USE_FIPS_ENDPOINT=false selects the standard one"
        }
        _ if request.contains("://ecs.") && request.contains(".api.") => {
            "check the name server (/etc/resolv.conf); not every Region has a dual-stack endpoint: AWS_USE_DUALSTACK_ENDPOINT=false selects the standard one"
        }
        _ => {
            "check the name server (/etc/resolv.conf, DNS support of the VPC, private DNS of the VPC endpoint) and the spelling of the address"
        }
    }
}

fn of_refusal(action: &str, refusal: &Refusal) -> String {
    let role = &refusal.role;
    if let Some(other_region) = &refusal.other_region {
        return format!(
            "{other_region}: set AWS_ENDPOINT_URL_ECS to an endpoint of this Region, or unset it"
        );
    }
    match refusal.code.as_str() {
        "AccessDeniedException" if refusal.message.contains("iam:PassRole") => {
            format!("grant role {role} iam:PassRole on the roles of the task definition")
        }
        "AccessDeniedException" if refusal.message.contains("ecs:TagResource") => {
            format!("grant role {role} ecs:TagResource on its tasks, or remove tags from the request")
        }
        "AccessDeniedException" if action == "StartTask" => format!(
            "grant role {role} ecs:StartTask on the task definition, and iam:PassRole on its roles if it has any"
        ),
        "AccessDeniedException" => format!("grant role {role} ecs:{action}"),
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" => format!(
            "ECS does not accept the credentials of role {role}: check the instance profile and this host's clock"
        ),
        "ClientException" if refusal.is_unassumable_role() => format!(
            "allow ecs-tasks.amazonaws.com to assume the role (its trust policy), and grant role {role} iam:PassRole on it"
        ),
        "ClusterNotFoundException" => {
            "the cluster that this instance registered in is gone: launch a new instance into an existing cluster. Changing ECS_CLUSTER does not move this instance: the agent exits when it differs from its checkpoint in /var/lib/ecs/data".to_owned()
        }
        "ClientException" | "InvalidParameterException" => of_request(&refusal.message).to_owned(),
        _ if is_throttling(&refusal.code) => {
            "all calls of the account in this Region share one limit: launch fewer instances at once, or ask AWS to raise the limit".to_owned()
        }
        code if refusal.status >= 500 || code == SERVER_EXCEPTION => "if this persists, check the AWS Health Dashboard".to_owned(),
        _ => "see \"Common Errors\" in the ECS API reference".to_owned(),
    }
}

/// What to do about a request that ECS calls invalid, by its message.
fn of_request(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    if message.contains("network configuration must be provided") {
        "the task definition has network mode awsvpc: add networkConfiguration to a request document in /etc/ecs/ecs-start-task.d/, as in /usr/share/doc/ecs-start-task/examples/awsvpc.json"
    } else if message.contains("arn") && message.contains("format must be enabled") {
        "tags require the long ARN format: `aws ecs put-account-setting-default --name taskLongArnFormat --value enabled`, then a newly registered instance"
    } else {
        "check the task definition's name, revision and status, and the request"
    }
}

/// What to do about a reason in `failures[]` ("API failure reasons" in the ECS developer guide).
fn of_failure(reason: &str) -> &'static str {
    match reason.split(':').next().unwrap_or_default() {
        "AGENT" => "if this persists, check /var/log/ecs/ecs-agent.log",
        "RESOURCE" => "stop another task, or reserve less in the task definition",
        "MISSING" => "check the cluster and the Region",
        "INACTIVE" => "restart the ECS agent or replace the instance",
        "ATTRIBUTE" => "use another AMI or a newer agent, or change the task definition",
        "LOCATION" => "use a subnet of the instance's zone",
        _ => "see \"API failure reasons\" in the ECS developer guide",
    }
}
