//! How to mend what went wrong: the half of each message that the user can act on.
//!
//! Kept apart from what happened, because a log line wants both in one sentence ([`Error::message_with_hint`]) and
//! `check` wants them side by side. Every error has one.

use crate::error::Error;
use crate::error::refusal::{Refusal, SERVER_EXCEPTION, is_throttling};
use crate::files;
use crate::net::certificate::Fault;
use crate::net::error::{Hop, Kind, TransportError};
use crate::text::sentence;

impl Error {
    /// What happened and how to mend it, as one sentence.
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

/// The remedies that name nothing of the error.
fn plain(error: &Error) -> &'static str {
    match error {
        Error::Agent(TransportError { kind: Kind::Stranger(_), .. }) => {
            "the agent listens as root: `ss -ltnp` names the process that has its port"
        }
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
        Error::UnknownPartition { .. } => "give the ECS endpoint with AWS_ENDPOINT_URL_ECS",
        Error::AgentListTooLarge { .. } => {
            "check that it is the ECS agent that listens there; if it is, report this as a bug"
        }
        Error::Imds(error) if matches!(error.kind, Kind::NoRoute(_)) => {
            "check the routes of this instance; if it has IPv6 alone, enable IMDS there: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-protocol-ipv6 enabled`, and set AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6"
        }
        Error::Imds(_) => {
            "let no firewall rule hide 169.254.169.254 and, from where you may, turn IMDS on: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-endpoint enabled`; HttpTokens may stay required. If this runs in a container, raise the hop limit: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-put-response-hop-limit 2`"
        }
        Error::ImdsStatus { .. } | Error::NoValue { .. } => {
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
        (Kind::Certificate { fault, .. }, leg) => of_certificate(*fault, leg),
        (Kind::NoName, leg) => of_name(&error.request, leg),
        (_, Hop::ToProxy(_)) => {
            "let the proxy listen there and this instance reach it (routes, security groups), mend HTTPS_PROXY, or exempt ECS with NO_PROXY"
        }
        (_, Hop::BeyondProxy(_)) if error.request.contains(" http://") => {
            "let the proxy pass CONNECT to this host and port, for plain http goes through a tunnel too; or use an https endpoint, or exempt ECS with NO_PROXY"
        }
        (_, Hop::BeyondProxy(_)) => {
            "let the proxy pass CONNECT to ECS, give it the user:password that it wants (HTTPS_PROXY), or exempt ECS with NO_PROXY"
        }
        (Kind::NoRoute(_), Hop::Direct) => {
            "check the routes of this instance; if it has IPv6 alone, set AWS_USE_DUALSTACK_ENDPOINT=true, or name a proxy with HTTPS_PROXY"
        }
        (_, Hop::Direct) => {
            "look at the route to it (NAT, VPC endpoint com.amazonaws.REGION.ecs, security groups), or name a proxy with HTTPS_PROXY"
        }
    }
}

fn of_certificate(fault: Fault, leg: &Hop) -> &'static str {
    match (fault, leg) {
        (Fault::Time, _) => {
            "look at this host's clock (`chronyc tracking`); if it is right, have the certificate renewed"
        }
        (Fault::Name, Hop::ToProxy(_)) => {
            "give the proxy (HTTPS_PROXY) by the name in its certificate, and look at what the name resolves to"
        }
        (Fault::Name, _) => {
            "look at the address (AWS_ENDPOINT_URL_ECS) and at what it resolves to: something else answers there"
        }
        (Fault::Authority, _) => {
            "give the server a certificate with CA:FALSE: one that this CA issued, or a self-signed one (`openssl req -x509 -addext basicConstraints=CA:FALSE`)"
        }
        (Fault::Other, _) => "give the issuer's with AWS_CA_BUNDLE or --ca-bundle",
    }
}

/// Names of FIPS and dual-stack endpoints are this program's own: a custom endpoint goes with neither setting.
fn of_name(request: &str, leg: &Hop) -> &'static str {
    match leg {
        Hop::ToProxy(_) => {
            "look at the name server (/etc/resolv.conf) and at the spelling of the proxy (HTTPS_PROXY, HTTP_PROXY, /etc/ecs/ecs.config)"
        }
        _ if request.contains("://ecs-fips.") => {
            "check the name server (/etc/resolv.conf); not every region has a FIPS endpoint: AWS_USE_FIPS_ENDPOINT=false takes the other one"
        }
        _ if request.contains("://ecs.") && request.contains(".api.") => {
            "check the name server (/etc/resolv.conf); not every region has a dual-stack endpoint: AWS_USE_DUALSTACK_ENDPOINT=false takes the other one"
        }
        _ => {
            "look at the name server (/etc/resolv.conf, DNS support of the VPC, private DNS of the VPC endpoint) and at the spelling of the address"
        }
    }
}

fn of_refusal(action: &str, refusal: &Refusal) -> String {
    let role = &refusal.role;
    if let Some(other_region) = &refusal.other_region {
        return format!(
            "{other_region}: set AWS_ENDPOINT_URL_ECS to an endpoint of this region, or unset it"
        );
    }
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
        "ClientException" if refusal.is_unassumable_role() => format!(
            "let ecs-tasks.amazonaws.com assume the role (its trust policy), and allow role {role} iam:PassRole on it"
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
        code if refusal.status >= 500 || code == SERVER_EXCEPTION => "if it stays so, look at the AWS Health Dashboard".to_owned(),
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
