//! Invariants of everything that people write (settings, documents, names, proxies), and of what this host and a TLS
//! server report.

use crate::aws::definition::Definition;
use crate::aws::instance::Instance;
use crate::config::cli::Cli;
use crate::config::error::ConfigError;
use crate::config::settings::{self, Settings};
use crate::config::sources::Sources;
use crate::config::url::parse_url;
use crate::keyvalue;
use crate::net::certificate::issuer;
use crate::net::client::get;
use crate::net::proxy;
use crate::net::roots;
use crate::request;
use crate::request::references::{self, Piece};
use crate::system::listener::listening;
use crate::system::routes::DefaultRoutes;
use crate::system::systemd::parse_unit;
use crate::testing::invariants::{assert_message, registered, short, visible};
use crate::testing::simulation::ARN;
use clap::Parser;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value, json};

/// Settings, from a file and, after `---`, from the environment.
pub(crate) fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (file, environment) = text.split_once("---\n").unwrap_or((&text, ""));
    for pair in keyvalue::pairs(file) {
        let line = file.lines().nth(pair.as_ref().map_or_else(|line| *line, |p| p.line) - 1).unwrap();
        assert!(pair.is_ok_and(|p| line.contains(p.key) && line.contains(p.value)) || !line.contains('='));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("conf");
    std::fs::write(&path, file).unwrap();
    let cli = Cli::parse_from(["x".as_ref(), "--config".as_ref(), path.as_os_str()]);
    let environment = keyvalue::pairs(environment).flatten();
    let environment = environment.map(|p| (p.key.to_owned(), p.value.to_owned()));
    let (sources, unreadable) = Sources::read(&cli, environment);
    let (settings, wrong) = Settings::read(&cli, &sources);
    usable(&settings);
    for error in unreadable.into_iter().chain(wrong) {
        let text = error.to_string();
        let place = format!("{} line ", path.display());
        let conflict = matches!(
            error,
            ConfigError::EndpointConflict | ConfigError::ImdsDisabled | ConfigError::StayWithoutWaiting
        );
        assert!(conflict || text.contains(&place) || text.contains("environment: "), "{text}");
        assert_message(&error.into());
    }
}

fn usable(settings: &Settings) {
    assert!((1..=366 * 24 * 3600).contains(&settings.timeout.as_secs()));
    for base in [&settings.agent_url, &settings.imds_url] {
        let url = get(&format!("{base}/v1/metadata")).unwrap().uri().clone();
        let authority = url.authority().unwrap().as_str();
        let port = url.port().map_or_else(String::new, |p| format!(":{p}"));
        assert_eq!(format!("{}{port}", url.host().unwrap()), authority);
    }
    assert!(settings.started_by.as_deref().is_none_or(|s| s.contains('{') || settings::is_started_by(s)));
}

/// A document either says what to start and keeps its members, or is reported with its path.
pub(crate) fn document(input: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("document.json");
    std::fs::write(&path, input).unwrap();
    let path = path.to_str().unwrap();
    let settings = Settings::of(&["--config", "/dev/null", "--cli-input-json", path], &[]);
    let planned = request::plan(&settings).unwrap().pop().unwrap();
    visible(&planned.name);
    let instance = Instance::parse(ARN, "prod").unwrap();
    let body = planned.template.and_then(|template| {
        assert_eq!(template.definition(), planned.name);
        template.resolve(&|_| Some(VALUE.to_owned()))?.body(&instance)
    });
    match body {
        Ok(body) => complete(body, serde_json::from_slice(input).unwrap()),
        Err(error) => {
            assert!(error.to_string().contains(path), "{error}");
            assert_message(&error.into());
        }
    }
}

/// The value of every reference.
const VALUE: &str = "prod";

fn complete(mut body: Value, given: Map<String, Value>) {
    let body = body.as_object_mut().unwrap();
    let Value::Object(mut given) = substituted(given.into()) else { return };
    given.retain(|_, value| value != "");
    assert!(given.remove("cluster").is_none_or(|c| c == "prod" || c.as_str().unwrap().ends_with("/prod")));
    assert_eq!(body.remove("taskDefinition"), given.remove("taskDefinition"));
    assert_eq!(body.remove("cluster"), Some(json!("prod")));
    assert_eq!(body.remove("containerInstances"), Some(json!(["0123456789abcdef0123456789abcdef"])));
    assert!(settings::is_started_by(body.get("startedBy").and_then(Value::as_str).unwrap()));
    given.entry("startedBy").or_insert_with(|| json!("0123456789abcdef0123456789abcdef"));
    assert_eq!(*body, given);
}

/// What [`references::substitute`] should do, in each text.
fn substituted(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let pieces = references::parse(&text).unwrap();
            references::substitute(&pieces, &|_| Some(VALUE.to_owned())).unwrap().into()
        }
        Value::Array(items) => items.into_iter().map(substituted).collect(),
        Value::Object(members) => members.into_iter().map(|(name, v)| (name, substituted(v))).collect(),
        other => other,
    }
}

/// Text without references is unchanged, substituted text has none left, and a list is split without loss.
pub(crate) fn references(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let holds_one = |text: &str| ["{imds:", "{tag:", "{ecs:"].iter().any(|prefix| text.contains(prefix));
    let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect::<String>();
    assert_eq!(kept(&references::split(&text).concat()), kept(&text));
    match references::parse(&text) {
        Ok(pieces) => {
            let result = references::substitute(&pieces, &|_| Some(VALUE.to_owned())).unwrap();
            assert!(holds_one(&text) || result == text);
            assert!(text.contains("{{") || !holds_one(&result));
            for piece in pieces {
                let Piece::Reference(reference) = piece else { continue };
                assert_eq!(references::parse(&reference.to_string()).unwrap(), [Piece::Reference(reference)]);
            }
        }
        Err(invalid) => {
            assert!(holds_one(&text));
            short(&invalid.to_string());
        }
    }
}

/// Names come out unchanged.
pub(crate) fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(definition) = Definition::parse(&text) {
        assert_eq!(definition.to_string(), text);
        visible(&text);
        assert_eq!(Definition::parse(&definition.to_string()).as_ref(), Some(&definition));
        assert!(text.contains(&definition.family) && definition.family.len() <= 255);
        let revision = definition.revision.or(Some(7));
        assert!(definition.matches(&definition.family, revision));
        assert!(!definition.matches(&format!("{}x", definition.family), revision));
        let digits = text.rsplit(':').next().unwrap();
        assert!(definition.revision.is_none_or(|r| digits.parse() == Ok(r) && !digits.starts_with('+')));
    }
    if let Some(instance) = Instance::parse(&text, "prod") {
        registered(&instance);
    }
}

/// The endpoint, then settings: a password is never shown, and this host is never reached through a proxy.
pub(crate) fn proxy(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (endpoint, settings) = text.split_once('\n').unwrap_or((&text, ""));
    let Some(endpoint) = parse_url(endpoint) else { return };
    let cli = Cli::parse_from(["x", "--config", "/dev/null"]);
    let pairs = keyvalue::pairs(settings).flatten().map(|p| (p.key.to_owned(), p.value.to_owned()));
    let (sources, _) = Sources::read(&cli, pairs);
    match proxy::route(&endpoint, &sources) {
        Ok(route) => {
            short(&route.why);
            let local = matches!(endpoint.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
            assert!(!(local && route.proxy.is_some()));
            assert!(route.proxy.is_none_or(|p| !p.host().is_empty() && route.why.contains(p.host())));
            assert!(!route.why.contains("pass/word") && !route.why.contains('@'), "{}", route.why);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.contains("pass/word") && text.to_lowercase().contains("environment: http"),
                "{text}"
            );
            assert_message(&error.into());
        }
    }
}

/// The output of `systemctl show` for a unit: its state, or nothing.
pub(crate) fn units(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some(unit) = parse_unit(&text) else { return };
    for property in ["ActiveState", "FragmentPath", "StatusText"] {
        short(unit.get(property));
    }
    assert!(!unit.state().starts_with(' '), "{text}");
}

/// A table of sockets from the kernel: each owner is in it, and the rows after a socket that does not listen change nothing.
pub(crate) fn sockets(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for address in ["127.0.0.1:51678", "[::1]:51678"].map(|address| address.parse().unwrap()) {
        let Ok(owners) = listening(text.as_bytes(), address) else { continue };
        assert!(owners.len() < text.lines().count().max(1));
        assert!(owners.iter().all(|uid| text.contains(&uid.to_string())), "{owners:?}");
        if !text.is_empty() {
            let more = format!(
                "{}\n1: x x 01 x x x x\n2: 0100007F:C9DE x 0A x x x 7\n",
                text.trim_end_matches('\n')
            );
            assert_eq!(listening(more.as_bytes(), address).unwrap(), owners);
        }
    }
}

/// A default route of each family, as the kernel writes it.
const DEFAULT_ROUTES: [&str; 2] = [
    "eth0 00000000 010200C0 0003 0 0 512 00000000 0 0 0",
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 1 0 00000003 eth0",
];

/// The kernel's tables of routes, IPv4 and IPv6: each line counts by itself, a default route is found among any other
/// lines, and a table of one family says nothing about the other.
pub(crate) fn routes(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (ipv4, ipv6) = text.split_once("---\n").unwrap_or((&text, ""));
    let routes = DefaultRoutes::parse(ipv4, ipv6);
    let alone = |ipv4, ipv6| DefaultRoutes::parse(ipv4, ipv6);
    assert_eq!(routes.ipv4, ipv4.lines().rev().any(|line| alone(line, "").ipv4));
    assert_eq!(routes.ipv6, ipv6.lines().rev().any(|line| alone("", line).ipv6));
    assert!(!alone(ipv4, "").ipv6 && !alone("", ipv6).ipv4);
    let default = |line: &str| line.split_whitespace().any(|field| field.bytes().all(|b| b == b'0'));
    assert!(!routes.ipv4 || ipv4.lines().any(default));
    assert!(!routes.ipv6 || ipv6.lines().any(default));
    let [more4, more6] = [(ipv4, DEFAULT_ROUTES[0]), (ipv6, DEFAULT_ROUTES[1])]
        .map(|(table, line)| format!("{table}\n{line}\n"));
    assert_eq!(DefaultRoutes::parse(&more4, &more6), DefaultRoutes { ipv4: true, ipv6: true });
    assert_eq!(routes.ipv6_only(), routes.ipv6 && !routes.ipv4);
}

/// A bundle of certificates, and each of them as if a server had sent it.
pub(crate) fn certificates(input: &[u8]) {
    short(&issuer(&CertificateDer::from(input)));
    let mut found = 0;
    let whole = roots::certificates(&mut input.to_vec(), |certificate| {
        short(&issuer(&certificate));
        found += 1;
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.pem");
    std::fs::write(&path, input).unwrap();
    match roots::load(&path) {
        Ok(store) => assert!(whole.is_ok() && (1..=found).contains(&store.len())),
        Err(error) => {
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert_message(&error.into());
        }
    }
}
