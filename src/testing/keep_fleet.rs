//! A simulation of a fleet that keeps restarting a task that always dies: the real delays and the real retry code of ten
//! thousand instances against ECS's token buckets (changes: burst 100, 40 per second; reads: burst 100, 20 per second).

use crate::error::class::Class;
use crate::run::backoff::Backoff;
use crate::run::keep::decide::{brake, deaths_in_a_row, is_asked_about};
use crate::testing::fleet_simulation::{BYSTANDER_PER_SECOND, Bucket};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const HOSTS: usize = 10_000;
/// How long after each start the bad image dies.
const LIFE: Duration = Duration::from_secs(15);
/// How long after the agent ECS learns of a death.
const LAG: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Dies,
    Start,
    /// DescribeTasks for a task that died, so long after the previous call.
    Why(Duration, Duration),
    Status,
    Bystander,
}

#[derive(Default)]
struct Host {
    deaths: u32,
    starts: Backoff,
    why: Backoff,
    status: Backoff,
}

#[derive(Debug, Default)]
struct Counts {
    starts: u32,
    reads: u32,
    asked: u32,
    served: u32,
}

struct Fleet {
    queue: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    hosts: Vec<Host>,
    random: fastrand::Rng,
    changes: Bucket,
    reads: Bucket,
}

impl Fleet {
    fn at(&mut self, time: Duration, host: usize, event: Event) {
        self.queue.push(Reverse((time, host, event)));
    }

    fn seen_after(&mut self, time: Duration) -> Duration {
        time + POLL.mul_f64(self.random.f64())
    }

    fn dies(&mut self, now: Duration, i: usize) {
        let random = self.random.f64();
        let host = &mut self.hosts[i];
        host.deaths = deaths_in_a_row(host.deaths, LIFE);
        let (pause, asked) = (brake(host.deaths, random), is_asked_about(host.deaths));
        if asked {
            (host.why, host.status) = (Backoff::default(), Backoff::default());
            self.at(now, i, Event::Status);
            self.at(
                now + (pause / 2).min(Duration::from_secs(30)),
                i,
                Event::Why(Duration::from_secs(1), now),
            );
        }
        self.hosts[i].starts = Backoff::default();
        self.at(now + pause, i, Event::Start);
    }

    fn start(&mut self, now: Duration, i: usize) {
        if self.changes.take(now) {
            let seen = self.seen_after(now + LIFE);
            self.at(seen, i, Event::Dies);
        } else {
            let random = self.random.f64();
            let delay = self.hosts[i].starts.next_delay(Class::Throttled, now, random).unwrap();
            self.at(now + delay, i, Event::Start);
        }
    }

    fn why(&mut self, now: Duration, i: usize, interval: Duration, died: Duration) {
        let granted = self.reads.take(now);
        if granted && now >= died + LAG || now > died + Duration::from_secs(150) {
            return;
        }
        let random = self.random.f64();
        let throttled =
            (!granted).then(|| self.hosts[i].why.next_delay(Class::Throttled, now, random).unwrap());
        let next = now + interval.max(throttled.unwrap_or_default());
        self.at(next, i, Event::Why((interval * 2).min(Duration::from_secs(30)), died));
    }

    fn status(&mut self, now: Duration, i: usize) {
        if !self.reads.take(now) {
            let random = self.random.f64();
            let delay = self.hosts[i].status.next_delay(Class::Throttled, now, random).unwrap();
            self.at(now + delay, i, Event::Status);
        }
    }

    /// The calls to ECS in these ten minutes, and how well the bystander does until then.
    fn run(&mut self, from: Duration) -> Counts {
        let mut counts = Counts::default();
        while let Some(Reverse((now, i, event))) = self.queue.pop() {
            if now > from + Duration::from_secs(600) {
                break;
            }
            let counted = u32::from(now > from);
            match event {
                Event::Dies => self.dies(now, i),
                Event::Start => {
                    counts.starts += counted;
                    self.start(now, i);
                }
                Event::Why(interval, died) => {
                    counts.reads += counted;
                    self.why(now, i, interval, died);
                }
                Event::Status => {
                    counts.reads += counted;
                    self.status(now, i);
                }
                Event::Bystander => {
                    counts.asked += 1;
                    counts.served += u32::from(self.changes.take(now));
                    self.at(now + Duration::from_secs_f64(1.0 / BYSTANDER_PER_SECOND), 0, Event::Bystander);
                }
            }
        }
        counts
    }
}

#[test]
fn ten_thousand_instances_whose_task_always_dies_leave_room_for_others() {
    let mut fleet = Fleet {
        queue: BinaryHeap::new(),
        hosts: (0..HOSTS).map(|_| Host::default()).collect(),
        random: fastrand::Rng::with_seed(1),
        changes: Bucket::new(40.0),
        reads: Bucket::new(20.0),
    };
    for i in 0..HOSTS {
        let seen = fleet.seen_after(Duration::ZERO);
        fleet.at(seen, i, Event::Dies);
    }
    fleet.at(Duration::from_millis(7), 0, Event::Bystander);
    let counts = fleet.run(Duration::from_secs(3600));
    let (starts, reads) = (f64::from(counts.starts) / 600.0, f64::from(counts.reads) / 600.0);
    let bystander = f64::from(counts.served) / f64::from(counts.asked);
    let figures = format!(
        "{starts:.1} StartTask and {reads:.1} reads a second after an hour, bystander {:.0} %",
        bystander * 100.0
    );
    println!("{figures}");
    assert!(starts < 15.0 && reads < 15.0 && bystander >= 0.75, "{figures}");
}
