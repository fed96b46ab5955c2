//! Simulations of a fleet: the real retry code of thousands of instances against ECS's token bucket,
//! under a virtual clock. Figures of the bucket: "Request throttling" in the ECS API reference
//! (cluster resource modify: burst 100, 40 per second).

use crate::error::class::Class;
use crate::run::backoff::{Backoff, RESTART_BACKOFF};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const BURST: f64 = 100.0;
const RATE: f64 = 40.0;
const BYSTANDER_PER_SECOND: f64 = 5.0;

struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, now: Duration) -> bool {
        self.tokens = (self.tokens + RATE * (now - self.at).as_secs_f64()).min(BURST);
        self.at = now;
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

struct Launch {
    /// When the last task was started.
    last: Duration,
    calls: usize,
    /// Which part of the bystander's calls, as long as tasks were being started, went through at once.
    bystander: f64,
}

/// `instances` come up at the same moment and share the bucket with a bystander.
fn launch(instances: usize, seed: u64) -> Launch {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bucket = Bucket { tokens: BURST, at: Duration::ZERO };
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

/// What the bucket itself needs for so many.
fn limit(instances: usize) -> f64 {
    (instances as f64 - BURST) / RATE
}

#[test]
fn a_launching_fleet_is_nearly_as_fast_as_the_bucket_and_leaves_room_for_others() {
    for seed in 1..=5 {
        for (instances, slower) in [(100, 1.0), (1_000, 1.5), (10_000, 1.4)] {
            let launch = launch(instances, seed);
            let took = launch.last.as_secs_f64();
            let per_task = launch.calls as f64 / instances as f64;
            let figures = format!(
                "{instances} instances, seed {seed}: {took:.1} s ({:.2} of the limit), {per_task:.2} calls a task, bystander {:.0} %",
                took / limit(instances),
                launch.bystander * 100.0
            );
            println!("{figures}");
            assert!(took <= slower * limit(instances), "{figures}");
            assert!(per_task <= 8.0, "{figures}");
            assert!(instances <= 100 || launch.bystander >= 0.75, "{figures}");
        }
    }
}

/// A task definition that does not exist is refused for good; the unit restarts the program 30 s later,
/// which then waits out the pause.
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
