//! Everything that only tests and fuzz targets use. None of it is in the shipped binary.

// Tables and texts have the length of what they list.
#![allow(clippy::too_many_lines)]

pub(crate) mod answers;
#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod exactly_one_tests;
#[cfg(test)]
mod fleet_simulation;
#[cfg(test)]
mod generators;
#[cfg(test)]
mod host_values_tests;
#[cfg(test)]
mod in_doubt_tests;
pub(crate) mod invariants;
#[cfg(test)]
mod keep_fleet;
#[cfg(test)]
mod keep_tests;
#[cfg(test)]
mod keep_world;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod run_tests;
mod settings;
pub(crate) mod simulation;
mod user_input;
