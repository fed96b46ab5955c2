//! What the program does about an error: its row in the retry table and its exit code.

/// Exit codes, from sysexits.h where one fits; listed in the README and the man page.
pub(crate) mod exit {
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const UNAVAILABLE: u8 = 69;
    pub(crate) const STOPPED: u8 = 70;
    pub(crate) const NOT_YET: u8 = 75;
    pub(crate) const REFUSED: u8 = 76;
    pub(crate) const NOT_ALLOWED: u8 = 77;
    pub(crate) const CONFIGURATION: u8 = 78;
}

/// How an error is retried: one row of the retry table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The agent does not give a response that can be used.
    Agent,
    /// IMDS does not give a response that can be used.
    Imds,
    /// The credentials have expired, and IMDS has nothing fresher.
    CredentialsExpired,
    /// ECS asks to slow down.
    Throttled,
    /// No connection to ECS: nothing was sent.
    Unreachable,
    /// It is in doubt whether ECS did what was asked.
    Unanswered,
    /// `failures[]`: AGENT. Normal in the seconds after registration.
    Disconnected,
    /// `failures[]`: RESOURCE:*.
    Resource,
    /// `failures[]`: MISSING. Registration is eventually consistent.
    Missing,
    /// `failures[]`: ATTRIBUTE and reasons that nobody has documented, such as of an instance still REGISTERING.
    InstanceUnsuitable,
    /// ECS does not accept the credentials: fetch new ones.
    CredentialsRejected,
    /// ECS does not accept the signature, and this host's clock is off: sign with the corrected time.
    Clock,
    /// IAM denies it. IAM is eventually consistent too.
    AccessDenied,
    /// ECS does not accept the signature, and the clock is not to blame.
    SignatureRejected,
    /// Another run holds the lock.
    Locked,
    /// The state directory is missing, full or read-only.
    State,
    /// Refused permanently by ECS.
    Refused,
    /// Not retried.
    Permanent,
}

impl Class {
    /// The exit code of an error of this class.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Class::Throttled | Class::Disconnected | Class::Resource | Class::Locked | Class::State => {
                exit::NOT_YET
            }
            Class::Missing | Class::InstanceUnsuitable | Class::Refused | Class::Permanent => exit::REFUSED,
            Class::CredentialsExpired
            | Class::CredentialsRejected
            | Class::Clock
            | Class::AccessDenied
            | Class::SignatureRejected => exit::NOT_ALLOWED,
            Class::Agent | Class::Imds | Class::Unreachable | Class::Unanswered => exit::UNAVAILABLE,
        }
    }
}
