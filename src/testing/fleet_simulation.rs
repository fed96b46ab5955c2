//! Simulations of a fleet: the real retry code of thousands of instances against ECS's token bucket,
//! under a virtual clock. The figures of the bucket are from "Request throttling" in the ECS API reference
//! (cluster resource modify: burst 100, 40 per second).

use crate::error::class::Class;
use crate::run::backoff::{Backoff, RESTART_BACKOFF};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const BURST: f64 = 100.0;
const RATE: f64 = 40.0;
pub(crate) const BYSTANDER_PER_SECOND: f64 = 5.0;

/// ECS's token bucket.
pub(crate) struct Bucket {
    rate: f64,
    tokens: f64,
    at: Duration,
}

impl Bucket {
    pub(crate) fn new(rate: f64) -> Self {
        Bucket { rate, tokens: BURST, at: Duration::ZERO }
    }

    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.tokens = (self.tokens + self.rate * (now - self.at).as_secs_f64()).min(BURST);
        self.at = now;
        let there = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(there));
        there
    }
}

struct Launch {
    /// When the last task was started.
    last: Duration,
    calls: usize,
    /// The share of the bystander's calls that succeeded at once while tasks were being started.
    bystander: f64,
}

/// `instances` come up at the same moment and share the bucket with a bystander, another caller of ECS.
fn launch(instances: usize, seed: u64) -> Launch {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bucket = Bucket::new(RATE);
    let mut tries = vec![Backoff::default(); instances];
    let mut queue: BinaryHeap<_> = (0..instances).map(|i| Reverse((Duration::ZERO, Some(i)))).collect();
    queue.push(Reverse((Duration::from_millis(7), None)));
    let (mut started, mut calls, mut asked, mut served) = (0, 0, 0, 0);
    while let Some(Reverse((now, who))) = queue.pop() {
        let granted = bucket.take(now);
        let Some(i) = who else {
            asked += 1;
            served += usize::from(granted);
            queue.push(Reverse((now + Duration::from_secs_f64(1.0 / BYSTANDER_PER_SECOND), None)));
            continue;
        };
        calls += 1;
        started += usize::from(granted);
        if started == instances {
            return Launch { last: now, calls, bystander: served as f64 / f64::from(asked) };
        }
        if !granted {
            let pause = tries[i].next_delay(Class::Throttled, now, random.f64()).unwrap();
            queue.push(Reverse((now + pause, Some(i))));
        }
    }
    unreachable!("the bystander never ends")
}

/// The time that the bucket itself needs for so many instances.
fn limit(instances: usize) -> f64 {
    (instances as f64 - BURST) / RATE
}

/// Sizes from just above the burst to the largest clusters, none chosen to suit the windows. For every size, the last
/// task, the bystander and the number of calls stay within these limits.
const SIZES: [usize; 13] =
    [200, 350, 500, 700, 1_000, 1_500, 2_000, 3_500, 5_000, 7_000, 10_000, 15_000, 20_000];
const SEEDS: [u64; 3] = [1, 2, 3];
const SLOWEST: f64 = 2.2;
const MOST_CALLS: f64 = 10.5;
const BYSTANDER: f64 = 0.6;
const BYSTANDER_IN_THE_MEAN: f64 = 0.7;

/// `make bench` prints these lines.
#[test]
fn a_launching_fleet_of_any_size_takes_at_most_about_twice_what_the_bucket_needs() {
    let mut bystanders = Vec::new();
    for instances in SIZES {
        let launches = SEEDS.map(|seed| launch(instances, seed));
        let worst = |figure: fn(&Launch) -> f64| launches.iter().map(figure).fold(0.0, f64::max);
        let slowest = worst(|launch| launch.last.as_secs_f64()) / limit(instances);
        let calls = worst(|launch| launch.calls as f64) / instances as f64;
        let bystander = 1.0 - worst(|launch| 1.0 - launch.bystander);
        let figures = format!(
            "{instances} instances: {slowest:.2} of the limit, {calls:.2} calls, bystander {bystander:.2}"
        );
        println!("{figures}");
        assert!(slowest <= SLOWEST && calls <= MOST_CALLS && bystander >= BYSTANDER, "{figures}");
        bystanders.extend(launches.map(|launch| launch.bystander));
    }
    let mean = bystanders.iter().sum::<f64>() / bystanders.len() as f64;
    assert!(mean >= BYSTANDER_IN_THE_MEAN, "bystander {mean:.2} in the mean");
}

#[test]
fn what_fits_into_the_burst_is_not_slowed_down() {
    assert_eq!(launch(100, 1).last, Duration::ZERO);
}

/// A task definition that does not exist is refused permanently; the unit restarts the program 30 s later, and the
/// program waits until the pause has passed.
#[test]
fn ten_thousand_instances_without_a_task_definition_come_to_less_than_15_calls_a_second() {
    const RESTART: Duration = Duration::from_secs(30);
    let (hour, window) = (Duration::from_secs(3600), Duration::from_secs(600));
    let mut random = fastrand::Rng::with_seed(1);
    let mut calls = 0;
    for _ in 0..10_000 {
        let mut now = Duration::ZERO;
        for failures in 1.. {
            now += RESTART_BACKOFF.delay(failures, Duration::ZERO, random.f64()).max(RESTART);
            calls += u32::from(now > hour && now <= hour + window);
            if now > hour + window {
                break;
            }
        }
    }
    let per_second = f64::from(calls) / window.as_secs_f64();
    println!("{per_second:.1} calls a second after an hour");
    assert!(per_second < 15.0, "{per_second}");
}
