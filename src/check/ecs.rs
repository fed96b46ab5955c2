//! The calls to ECS that check makes: each is signed as in a run, and none can change anything.

use super::checkup::{Brief, REMOTE};
use crate::aws::ecs::{Call, Caller, Endpoint};
use crate::error::Error;

/// Everything that a call to ECS needs: client, endpoint and caller.
pub(super) struct Ecs<'a> {
    pub(super) http: Brief<'a>,
    pub(super) endpoint: &'a Endpoint,
    pub(super) caller: Caller,
}

impl Ecs<'_> {
    pub(super) fn call(&self) -> Call<'_> {
        let clock = self.http.clock;
        Call { http: &self.http, clock, endpoint: self.endpoint, caller: &self.caller, left: REMOTE }
    }
}

/// These calls change nothing, so a missing response leaves nothing in doubt.
pub(super) fn unanswered(error: Error) -> Error {
    match error {
        Error::NoAnswer(error) => Error::Unreachable(error),
        other => other,
    }
}
