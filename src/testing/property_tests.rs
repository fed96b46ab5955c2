//! Properties of every parser, on nearly valid inputs: valid values come out unchanged, and for invalid ones the error
//! names the place.
//!
//! The seed is fixed, so every run is the same; `make fuzz` uses random inputs.

use crate::aws::definition::Definition;
use crate::aws::instance::Instance;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::error::refusal::{Refusal, refusal, refusal_class, seconds_ahead};
use crate::net::proxy;
use crate::request::document;
use crate::request::schema::START_TASK;
use crate::testing::generators::{answer, good_keys, good_task, json_value, object, places, shaped, text};
use crate::testing::invariants::{CHECKS, check};
use crate::testing::simulation::{ARN, epoch};
use crate::text::{human, sanitize_json, sanitize_line, shorten, shorten_bytes, shorten_middle};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use std::time::Duration;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn nothing_at_all_is_expected(input in any::<Vec<u8>>(), words in text()) {
        for (name, _) in CHECKS {
            check(name, &input);
            check(name, words.as_bytes());
        }
    }

    #[test]
    fn records_that_are_nearly_right(record in object(json!({
        "in_flight_since": {"secs": 30, "nanos": 5}, "preexisting": ["arn:a"], "concluded": false,
        "task": {"arn": "arn:task", "accepted_at": {"secs": 21, "nanos": 0}, "containers": ["a"], "revision": 3, "shown": true},
        "failures": u32::MAX, "not_before": {"secs": 800, "nanos": 0}, "ended_at": {"secs": 1, "nanos": 0},
    }))) {
        check("run", record.to_string().as_bytes());
    }
}

proptest! {
    #![proptest_config(cases(10))]

    #[test]
    fn runs_among_answers_that_are_nearly_right(
        list in object(good_task("log")), one in object(good_task("log")), arns in json_value(),
        stopped in object(json!({"stoppedReason": "x", "containers": [{"name": "a", "reason": "b", "exitCode": 1}]})),
    ) {
        let (list, arns, stopped) = (json!({"Tasks": [list]}), json!({"taskArns": ["arn:x", arns]}), json!({"tasks": [stopped]}));
        for record in ["{}", r#"{"in_flight_since": {"secs": 20, "nanos": 0}}"#] {
            check("run", format!("{record}\n---\n{list}\n---\n{one}\n---\n{arns}\n---\n{stopped}").as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn answers_of_the_agent(body in answer(object(json!({"Cluster": "prod", "ContainerInstanceArn": ARN})))) {
        check("agent", &body);
    }

    #[test]
    fn lists_of_tasks(tasks in prop::collection::vec(object(good_task("log")), 0..4), one in answer(object(good_task("x")))) {
        check("tasks", json!({"Tasks": tasks}).to_string().as_bytes());
        check("tasks", &one);
    }

    #[test]
    fn answers_of_imds(role in text(), status in prop::sample::select(vec![200, 404, 401, 403, 500]), keys in answer(object(good_keys()))) {
        for role in [role.as_str(), "role"] {
            check("imds", &[format!("{status}\n\n{role}\n---\n").as_bytes(), &keys].concat());
        }
    }

    #[test]
    fn answers_of_ecs(
        started in answer(object(json!({"tasks": [{"taskArn": "arn:x", "lastStatus": "PENDING"}], "failures": []}))),
        failed in answer(object(json!({"reason": "AGENT", "detail": "x"})).prop_map(|f| json!({"failures": [f]}))),
        refused in answer(object(json!({"__type": "a#ThrottlingException:x", "message": "$TOKEN $ESCAPED"}))),
    ) {
        for input in [started, failed, refused] {
            check("ecs", &input);
        }
    }

    #[test]
    fn any_region_and_cluster_that_can_be(
        partition in "aws(-[a-z]{2,5}){0,2}", region in "[a-z]{2}(-[a-z]{2,8}){1,2}-[1-9]", account in "[0-9]{12}",
        cluster in "[A-Za-z0-9_-]{1,255}", id in "[0-9a-f]{32}", old in any::<bool>(), by_arn in any::<bool>(),
    ) {
        let base = format!("arn:{partition}:ecs:{region}:{account}");
        let path = if old { id.clone() } else { format!("{cluster}/{id}") };
        let arn = format!("{base}:container-instance/{path}");
        let cluster = if by_arn { format!("{base}:cluster/{cluster}") } else { cluster };
        let instance = Instance::parse(&arn, &cluster).unwrap();
        assert_eq!((&instance.arn, &instance.id, &instance.cluster), (&arn, &id, &cluster));
        assert_eq!((instance.partition, instance.region), (partition, region));
        check("agent", json!({"Cluster": cluster, "ContainerInstanceArn": arn}).to_string().as_bytes());
    }

    #[test]
    fn definitions_in_every_form(family in "[A-Za-z0-9_-]{1,255}", revision in prop::option::of(any::<u64>()), arn in any::<bool>()) {
        let arn = if arn { "arn:aws:ecs:us-east-1:123456789012:task-definition/" } else { "" };
        let name = format!("{arn}{family}{}", revision.map_or_else(String::new, |r| format!(":{r}")));
        let definition = Definition::parse(&name).unwrap();
        assert_eq!((definition.to_string(), &definition.family, definition.revision), (name.clone(), &family, revision));
        check("names", name.as_bytes());
        for wrong in [format!("{name} "), format!("{name}:x"), format!("{name}/"), format!("{name}\n")] {
            assert!(Definition::parse(&wrong).is_none());
        }
    }

    /// awsJson1_1 allows the code in three places and in three forms.
    #[test]
    fn a_code_is_the_same_wherever_it_stands(code in "[A-Z][a-zA-Z]{2,40}", namespace in "([a-z.]{1,20}#)?", uri in "(:http://[a-z./]{1,20})?", status in 400..500u16) {
        let told = |header: Option<&str>, body: &Value| -> Refusal {
            let mut answer = http::Response::builder().status(status);
            if let Some(code) = header {
                answer = answer.header("x-amzn-errortype", code);
            }
            refusal(&answer.body(body.to_string().into_bytes()).unwrap(), "role", None)
        };
        let dressed = format!("{namespace}{code}{uri}");
        let plain = told(None, &json!({"__type": code, "message": "m"}));
        for refusal in [
            told(Some(&dressed), &json!({"message": "m"})),
            told(Some(&dressed), &json!({"__type": "Other", "Message": "m"})),
            told(None, &json!({"__type": dressed, "errorMessage": "m"})),
            told(None, &json!({"code": dressed, "message": "m"})),
            told(None, &json!({"Code": dressed, "message": "m", "more": [1]})),
        ] {
            assert_eq!((&refusal.code, refusal.message.as_str()), (&code, "m"));
            assert_eq!(refusal_class(&refusal, 0), refusal_class(&plain, 0));
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_and_bounded(seconds in any::<u64>(), other in text()) {
        let waits = |value: &str| {
            let answer = http::Response::builder().status(429).header("retry-after", sanitize_line(value));
            refusal(&answer.body(Vec::new()).unwrap(), "role", None).retry_after
        };
        let week = Duration::from_secs(7 * 24 * 3600);
        assert_eq!(waits(&seconds.to_string()), Some(Duration::from_secs(seconds).min(week)));
        assert!(waits(&other).is_none_or(|wait| wait <= week));
    }

    #[test]
    fn a_date_tells_how_far_the_clocks_are_apart(ahead in -1_700_000_000..250_000_000_000i64, took in 0..30u64, other in text()) {
        let sent = epoch();
        let received = sent + Duration::from_secs(2 * (took / 2));
        let middle = sent + Duration::from_secs(took / 2);
        let dated = |date: &str| {
            let headers = [(http::header::DATE, http::HeaderValue::from_str(&sanitize_line(date)).unwrap())];
            seconds_ahead(&headers.into_iter().collect(), sent, received)
        };
        let date = crate::system::clock::shifted(middle, ahead);
        let century = 100 * 365 * 24 * 3600;
        assert_eq!(dated(&httpdate::fmt_http_date(date)), Some(ahead).filter(|s| s.abs() <= century));
        assert!(dated(&other).is_none());
    }

    #[test]
    fn durations_are_read_as_they_are_written(seconds in 1..=365 * 24 * 3600u64, other in text(), secs in any::<u64>(), nanos in 0..1_000_000_000u32) {
        let timeout = |value: &str| Settings::try_of(&["--config", "/dev/null"], &[("ECS_START_TASK_TIMEOUT", value)]).map(|s| s.timeout);
        let written = humantime::format_duration(Duration::from_secs(seconds)).to_string();
        assert_eq!(timeout(&written).unwrap(), Duration::from_secs(seconds));
        assert!(timeout(&other).is_ok_and(|t| t <= Duration::from_secs(365 * 24 * 3600)) || timeout(&other).is_err());
        let any = Duration::new(secs, nanos);
        let said = humantime::parse_duration(&human(any)).unwrap();
        assert!(said.abs_diff(any) <= Duration::from_millis(if secs > 0 { 500 } else { 1 }));
    }

    #[test]
    fn a_settings_file_is_told_by_line(before in prop::collection::vec("(#|;)[^\n]{0,20}|| *[A-Z]{1,8}=[^\n]{0,20}", 0..8), wrong in "[a-z ]{0,10}[a-z]|ECS_START_TASK_[A-Z]{4}=.{0,9}|ECS_START_TASK_WAIT=[a-z]{3}", environment in text()) {
        let file = format!("{}{wrong}\nECS_START_TASK_DEFINITION=log\n", before.iter().map(|l| format!("{l}\n")).collect::<String>());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("conf");
        std::fs::write(&path, &file).unwrap();
        let path = path.to_str().unwrap();
        let error = Settings::try_of(&["--config", path], &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("{path} line {}", before.len() + 1)), "{error}");
        check("settings", format!("{file}---\nECS_START_TASK_STARTED_BY={environment}\n").as_bytes());
    }

    #[test]
    fn settings_of_every_name(key in prop::sample::select(crate::config::keys::KNOWN.iter().map(|(k, _)| *k).collect::<Vec<_>>()), value in text(), url in "https?://[a-z.\\[\\]:0-9@]{1,20}(/[a-z/]{0,9})?(\\?x)?") {
        for value in [value, url] {
            check("settings", format!("{key}={value}\n").as_bytes());
            check("settings", format!("---\n{key}={value}\n").as_bytes());
        }
    }

    #[test]
    fn documents_come_through_unchanged(given in shaped(&START_TASK)) {
        let Value::Object(members) = given else { panic!("the shape is that of an object") };
        assert_eq!(document::parse(&Value::from(members.clone()).to_string()), Ok(members.clone()));
        check("document", Value::from(members).to_string().as_bytes());
    }

    #[test]
    fn a_document_with_one_thing_wrong_is_told_with_its_member(given in shaped(&START_TASK), which in any::<prop::sample::Index>(), other in json_value()) {
        let mut given = given;
        let places = places(&given, "");
        let place = which.get(&places);
        let value = given.pointer_mut(place).unwrap();
        let same = std::mem::discriminant(value) == std::mem::discriminant(&other);
        *value = other;
        let text = format!("{given:#}");
        if let Err(document::Fault { why: error, .. }) = document::parse(&text) {
            assert!(error.contains(place.trim_start_matches('/').split('/').next().unwrap()), "{place} {error}");
            assert!(error.starts_with("line "), "{error}");
        } else {
            assert!(same || place.is_empty());
        }
        check("document", text.as_bytes());
    }

    #[test]
    fn a_proxy_is_taken_and_its_password_kept(host in "[a-z]{1,10}(\\.[a-z]{1,5}){0,2}", port in 1..=u16::MAX, scheme in "(https?://)?", slash in "/?", key in "HTTPS_PROXY|https_proxy|HTTP_PROXY|http_proxy", password in "([a-zA-Z0-9]|%2F){8,20}", exempt in text()) {
        let endpoint = "https://ecs.us-east-1.amazonaws.com/".parse().unwrap();
        let way = |value: String, exempt: &str| {
            let cli = <crate::config::cli::Cli as clap::Parser>::parse_from(["x", "--config", "/dev/null"]);
            let pairs = [(key.clone(), value), ("NO_PROXY".to_owned(), exempt.to_owned())];
            proxy::route(&endpoint, &Sources::read(&cli, pairs.into_iter()).0)
        };
        let route = way(format!("{scheme}user:{password}@{host}:{port}{slash}"), "").unwrap();
        let proxy = route.proxy.unwrap();
        assert_eq!((proxy.host(), proxy.port()), (host.as_str(), port));
        assert!(!route.why.contains(&password) || host.contains(&password));
        let broken = way(format!("{scheme}user:{password}@{host}:x{port}"), "").unwrap_err().to_string();
        assert!(!broken.contains(&password) && broken.contains(&key), "{}", broken);
        check("proxy", format!("https://a.example/\n{key}={scheme}{host}:{port}\nNO_PROXY={exempt}\n").as_bytes());
        check("proxy", format!("http://127.0.0.1/\n{key}={exempt}\n").as_bytes());
    }

    #[test]
    fn what_is_shown_is_short_and_visible(text in text(), bytes in any::<Vec<u8>>()) {
        for short in [shorten(&text), shorten_bytes(&bytes), shorten_bytes(text.as_bytes())] {
            assert!(sanitize_line(&short).chars().count() <= 310);
        }
        assert!(shorten_middle(&text).chars().count() <= 310);
        for shown in [sanitize_line(&text), sanitize_json(&text).replace('\n', "")] {
            assert!(!shown.contains(char::is_control) && !shown.contains('\u{202e}'));
        }
    }
}

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz");

/// The names of the files in a directory, in order.
fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
#[ignore = "the source package has no corpus; make unit runs it"]
fn the_corpus_of_each_fuzz_target_holds() {
    let checks: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&format!("{FUZZ}/corpus")), checks);
    assert_eq!(
        names(&format!("{FUZZ}/targets")),
        checks.iter().map(|c| format!("{c}.rs")).collect::<Vec<_>>()
    );
    for name in checks {
        for file in names(&format!("{FUZZ}/corpus/{name}")) {
            println!("{name}/{file}");
            check(name, &std::fs::read(format!("{FUZZ}/corpus/{name}/{file}")).unwrap());
        }
    }
}

#[test]
#[ignore = "the source package has no fuzz targets; make unit runs it"]
fn the_fuzz_targets_of_the_corpus_have_the_program_s_dependencies() {
    let manifest = std::fs::read_to_string(format!("{FUZZ}/Cargo.toml")).unwrap();
    let program = include_str!("../../Cargo.toml").split("[dependencies]").nth(1).unwrap();
    assert!(manifest.contains(program.split("\n\n").next().unwrap()), "copy them to tests/fuzz/Cargo.toml");
}
