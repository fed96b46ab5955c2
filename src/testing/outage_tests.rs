//! What a run does when ECS becomes available again, under a virtual clock.

use crate::testing::simulation::{Play, Reply, refusal, started};
use std::rc::Rc;
use std::time::Duration;

const SEEDS: std::ops::Range<u64> = 0..20;

fn play(seed: u64, change: impl FnOnce(&mut Play)) -> Rc<Play> {
    let mut play = Play::new();
    play.random = fastrand::Rng::with_seed(seed).into();
    change(&mut play);
    Rc::new(play)
}

/// A refused connection, or a name that does not resolve: nothing has reached ECS.
#[test]
fn once_the_network_path_is_open_start_task_is_sent_within_20_s() {
    for outage in [20, 35, 95, 600].map(Duration::from_secs) {
        for seed in SEEDS {
            let play = play(seed, |p| {
                let open = p.now.get() + outage;
                p.ecs =
                    Box::new(move |_, play| if play.now.get() < open { Reply::Refused } else { started() });
            });
            let open = play.now.get() + outage;
            assert_eq!(play.code(&["-t", "log"]).0, 0);
            let sent = *play.times("StartTask").last().unwrap();
            assert!(sent >= open && sent - open <= Duration::from_secs(20), "{outage:?}: {:?}", sent - open);
        }
    }
}

/// Each 500 leaves the request in doubt, which takes 15 s to resolve.
#[test]
fn answers_of_500_cost_little_more_than_the_open_questions() {
    for (answers, most) in [(1, 17), (2, 34), (3, 53), (4, 76)] {
        for seed in SEEDS {
            let error = || refusal(500, "ServerException");
            let play = play(seed, |p| {
                p.ecs = Box::new(move |call, _| if call <= answers { error() } else { started() });
            });
            assert_eq!(play.code(&["-t", "log"]).0, 0);
            let calls = play.times("StartTask");
            let took = calls[calls.len() - 1] - calls[0];
            assert_eq!(calls.len() as u32, answers + 1);
            assert!(took >= Duration::from_secs(15) * answers, "{answers}: {took:?}");
            assert!(took <= Duration::from_secs(most), "{answers}: {took:?}");
        }
    }
}
