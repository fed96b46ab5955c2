//! References to values that only the host knows, such as `{tag:Role:-none}`: found in a text, and replaced.
//!
//! Both halves are pure. A text is parsed when its document is read, so that a wrong reference is reported before
//! anything is awaited; it is substituted when the values are known. What is substituted is never scanned again.
//!
//! Nothing that holds credentials can be referenced: the overrides of a task are visible to everyone who may
//! describe it.

use crate::aws::instance::Instance;
use crate::text::{did_you_mean, nearest, shorten};
use std::fmt;

/// What a brace must be followed by to begin a reference. Other braces are ordinary text.
const PREFIXES: [&str; 3] = ["imds:", "tag:", "ecs:"];

/// Between a name and its default, as in a shell.
const DEFAULT: &str = ":-";

/// The folders of IMDS that hold credentials.
const SECRET_FOLDERS: [&str; 2] = ["iam", "identity-credentials"];

/// Items of the primary network interface that have a short form.
const OF_PRIMARY_INTERFACE: [&str; 2] = ["vpc-id", "subnet-id"];

/// The only values of IMDS with one item per line that may be referenced.
const LISTS: [&str; 2] = ["security-groups", "security-group-ids"];

/// A part of a text: plain text or a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Reference(Reference),
}

/// A placeholder such as `{tag:Role}`, which a value of this host replaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) source: Source,
    /// Taken when the value is absent or empty, as in a shell.
    pub(crate) default: Option<String>,
}

/// Where the value of a reference comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A path below `/latest/meta-data/`.
    Imds(String),
    /// An item of the network interface whose MAC address is at the path `mac`.
    PrimaryInterface(&'static str),
    /// An EC2 tag of the instance, by its key.
    Tag(String),
    /// What the ECS agent says.
    Ecs(Fact),
}

/// A value that the ECS agent reports about the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    Cluster,
    Region,
    Account,
    ContainerInstanceId,
    ContainerInstanceArn,
}

const FACTS: [(&str, Fact); 5] = [
    ("cluster", Fact::Cluster),
    ("region", Fact::Region),
    ("account", Fact::Account),
    ("container-instance-id", Fact::ContainerInstanceId),
    ("container-instance-arn", Fact::ContainerInstanceArn),
];

/// Why a reference is invalid. A default is part of the document's value and is never shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidReference {
    #[error("a reference that begins with {0} does not end with }}, or holds another brace")]
    NotClosed(String),

    #[error("{{{0}:}} names nothing")]
    Empty(String),

    #[error("{reference} is unknown{}", did_you_mean(*nearest))]
    UnknownFact { reference: String, nearest: Option<&'static str> },

    #[error("{0}: a path has letters, digits and -_./: only, and no empty, . or .. element")]
    Path(String),

    #[error("{0} is refused: {folder}/ holds credentials, and overrides are visible to everyone who may DescribeTasks", folder = .1)]
    Secret(String, &'static str),

    #[error("{0}: the key of a tag in instance metadata has letters, digits and +-=.,_:@ only")]
    TagKey(String),
}

/// Why a valid reference has no usable value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unresolved {
    #[error("{0} has no value: it is not in this instance's metadata (404)")]
    Absent(Source),

    #[error("the value of {0} holds a line break or another control character")]
    Unprintable(Source),
}

impl Unresolved {
    /// How to fix it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Unresolved::Absent(Source::Tag(_)) => {
                "check that the instance has the tag and enable tags in instance metadata: `aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --instance-metadata-tags enabled`, or add a default: {tag:KEY:-DEFAULT}"
            }
            Unresolved::Absent(_) => "check the path, or add a default: {imds:PATH:-DEFAULT}",
            Unresolved::Unprintable(_) => "refer to a single value, not to a list",
        }
    }
}

/// The pieces of a text.
///
/// # Errors
/// The first invalid reference.
pub(crate) fn parse(text: &str) -> Result<Vec<Piece>, InvalidReference> {
    tokens(text).map(piece).collect()
}

/// The text of these pieces, with the values in place of the references.
///
/// # Errors
/// The first reference without a usable value.
pub(crate) fn substitute(
    pieces: &[Piece],
    value_of: &dyn Fn(&Source) -> Option<String>,
) -> Result<String, Unresolved> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Ok(text.clone()),
        Piece::Reference(reference) => reference.resolve(value_of(&reference.source).as_deref()),
    };
    pieces.iter().map(text).collect()
}

/// The items of a list whose commas are outside references, without the empty ones.
pub(crate) fn split(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    for token in tokens(list) {
        let (first, others) = match token {
            Token::Text(text) => {
                let mut parts = text.split(',').map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.collect())
            }
            whole => (whole.to_string(), Vec::new()),
        };
        items.last_mut().into_iter().for_each(|item| item.push_str(&first));
        items.extend(others);
    }
    items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

impl Reference {
    /// The value that takes its place, from the one that the host has.
    ///
    /// # Errors
    /// There is none that can be used.
    pub(crate) fn resolve(&self, value: Option<&str>) -> Result<String, Unresolved> {
        let value = value.filter(|value| !value.is_empty() || self.default.is_none());
        match (value, &self.default) {
            (Some(value), _) => self.source.single_line(value),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(Unresolved::Absent(self.source.clone())),
        }
    }
}

impl Source {
    /// # Errors
    /// [`Unresolved::Unprintable`]: it holds control characters.
    fn single_line(&self, value: &str) -> Result<String, Unresolved> {
        let value = if self.is_list() { value.trim_end().replace('\n', ",") } else { value.to_owned() };
        if value.contains(char::is_control) { Err(Unresolved::Unprintable(self.clone())) } else { Ok(value) }
    }

    fn is_list(&self) -> bool {
        let last = |path: &'_ str| path.rsplit('/').next().is_some_and(|last| LISTS.contains(&last));
        matches!(self, Source::Imds(path) if last(path))
    }
}

impl Fact {
    /// This fact about the instance.
    pub(crate) fn of(self, instance: &Instance) -> String {
        match self {
            Fact::Cluster => instance.cluster_name().to_owned(),
            Fact::Region => instance.region.clone(),
            Fact::Account => instance.account().to_owned(),
            Fact::ContainerInstanceId => instance.id.clone(),
            Fact::ContainerInstanceArn => instance.arn.clone(),
        }
    }
}

/// With its default, as it is written.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.to_string();
        match &self.default {
            Some(default) => write!(f, "{}{DEFAULT}{default}}}", source.trim_end_matches('}')),
            None => f.write_str(&source),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Imds(path) => write!(f, "{{imds:{path}}}"),
            Source::PrimaryInterface(item) => write!(f, "{{imds:{item}}}"),
            Source::Tag(key) => write!(f, "{{tag:{key}}}"),
            Source::Ecs(fact) => {
                let name = FACTS.iter().find(|(_, known)| known == fact).map_or("", |(name, _)| name);
                write!(f, "{{ecs:{name}}}")
            }
        }
    }
}

/// A text taken apart, before any reference in it is judged.
#[derive(Clone, Copy)]
enum Token<'a> {
    Text(&'a str),
    /// What is between the braces of a reference.
    Reference(&'a str),
    /// What is between the double braces of an escaped one.
    Escaped(&'a str),
    /// The braces of one that is not closed, and the prefix that follows them.
    NotClosed(&'static str, &'static str),
}

/// As it is written; of one that is not closed, the braces alone.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Text(text) => f.write_str(text),
            Token::Reference(body) => write!(f, "{{{body}}}"),
            Token::Escaped(body) => write!(f, "{{{{{body}}}}}"),
            Token::NotClosed(braces, _) => f.write_str(braces),
        }
    }
}

fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = (!rest.is_empty()).then(|| first_token(rest))?;
        rest = after;
        Some(token)
    })
}

fn first_token(text: &str) -> (Token<'_>, &str) {
    braced(text, "{{", "}}", Token::Escaped)
        .or_else(|| braced(text, "{", "}", Token::Reference))
        .unwrap_or_else(|| {
            let next = text.char_indices().skip(1).find(|(_, c)| *c == '{').map_or(text.len(), |(at, _)| at);
            let (text, after) = text.split_at(next);
            (Token::Text(text), after)
        })
}

/// What is between the braces at the beginning of the text, when a known prefix follows them, and what comes after.
fn braced<'a>(
    text: &'a str,
    open: &'static str,
    close: &str,
    token: fn(&'a str) -> Token<'a>,
) -> Option<(Token<'a>, &'a str)> {
    let inside = text.strip_prefix(open)?;
    let prefix = PREFIXES.into_iter().find(|prefix| inside.starts_with(prefix))?;
    let (body, closing) = inside.split_at(inside.find(['{', '}']).unwrap_or(inside.len()));
    match closing.strip_prefix(close) {
        Some(after) => Some((token(body), after)),
        None => Some((Token::NotClosed(open, prefix), inside)),
    }
}

/// # Errors
/// The reference is invalid, or has no end.
fn piece(token: Token<'_>) -> Result<Piece, InvalidReference> {
    match token {
        Token::Text(text) => Ok(Piece::Text(text.to_owned())),
        Token::Escaped(body) => Ok(Piece::Text(format!("{{{body}}}"))),
        Token::Reference(body) => reference(body).map(Piece::Reference),
        Token::NotClosed(braces, prefix) => Err(InvalidReference::NotClosed(format!("{braces}{prefix}"))),
    }
}

/// # Errors
/// Its kind, name or path is invalid.
fn reference(body: &str) -> Result<Reference, InvalidReference> {
    let (named, default) = match body.split_once(DEFAULT) {
        Some((named, default)) => (named, Some(default.to_owned())),
        None => (body, None),
    };
    let (kind, name) = named.split_once(':').unwrap_or((named, ""));
    let written = || shorten(&format!("{{{kind}:{name}}}"));
    let source = match kind {
        _ if name.is_empty() => return Err(InvalidReference::Empty(kind.to_owned())),
        "imds" => of_imds(name, written)?,
        "tag" if is_tag_key(name) => Source::Tag(name.to_owned()),
        "tag" => return Err(InvalidReference::TagKey(written())),
        _ => Source::Ecs(fact(name).ok_or_else(|| InvalidReference::UnknownFact {
            reference: written(),
            nearest: nearest(name, FACTS.map(|(known, _)| known)),
        })?),
    };
    Ok(Reference { source, default })
}

/// An element that is empty or made of dots could lead a server to another path than the one that was judged.
///
/// # Errors
/// The path is invalid, or leads to credentials.
fn of_imds(path: &str, written: impl Fn() -> String) -> Result<Source, InvalidReference> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let is_sound = |element: &str| element.chars().all(allowed) && !element.trim_matches('.').is_empty();
    if !path.split('/').all(is_sound) {
        return Err(InvalidReference::Path(written()));
    }
    let first = path.split('/').next().unwrap_or_default().trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if let Some(folder) = SECRET_FOLDERS.into_iter().find(|folder| folder.eq_ignore_ascii_case(first)) {
        return Err(InvalidReference::Secret(written(), folder));
    }
    let short = OF_PRIMARY_INTERFACE.into_iter().find(|item| *item == path);
    Ok(short.map_or_else(|| Source::Imds(path.to_owned()), Source::PrimaryInterface))
}

/// Instance metadata has only tags with such keys.
fn is_tag_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-=.,_:@".contains(c);
    key.chars().all(allowed) && !key.trim_matches('.').is_empty()
}

fn fact(name: &str) -> Option<Fact> {
    FACTS.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the text becomes where each value is its reference in angle brackets, or what is wrong with it.
    fn resolved(text: &str) -> String {
        let pieces = match parse(text) {
            Ok(pieces) => pieces,
            Err(invalid) => return format!("error: {invalid}"),
        };
        let value = |source: &Source| source.to_string().replace('{', "<").replace('}', ">");
        let known: Vec<(Source, String)> = sources(&pieces).map(|s| (s.clone(), value(s))).collect();
        substitute(&pieces, &|source| known.iter().find(|(s, _)| s == source).map(|(_, v)| v.clone()))
            .unwrap()
    }

    fn sources(pieces: &[Piece]) -> impl Iterator<Item = &Source> {
        pieces.iter().filter_map(|piece| match piece {
            Piece::Reference(reference) => Some(&reference.source),
            Piece::Text(_) => None,
        })
    }

    /// Without a value, what the text becomes.
    fn without_values(text: &str) -> Result<String, Unresolved> {
        substitute(&parse(text).unwrap(), &|_| None)
    }

    /// With the same value for every reference.
    fn with(text: &str, value: &str) -> Result<String, Unresolved> {
        substitute(&parse(text).unwrap(), &|_| Some(value.to_owned()))
    }

    /// What holds no reference.
    const ORDINARY: &[&str] = &[
        "",
        "a",
        "é\u{1f600}",
        "{",
        "}",
        "{}",
        "{{}}",
        "}{",
        "{{",
        "}}",
        "a{b}c",
        "{imds}",
        "{tag}",
        "{ecs}",
        "{imds",
        "{ imds:x}",
        "{Imds:instance-id}",
        "{TAG:Role}",
        "{ECS:region}",
        "{imd:x}",
        "{tags:Role}",
        "{ecs-task:x}",
        "imds:instance-id",
        "tag:Role}",
        "$HOME",
        "${HOME}",
        "${AWS::Region}",
        "{{ ds.meta_data.x }}",
        "{{ssm:x}}",
        "{% if x %}",
        "%{if x}",
        "{\"a\": {\"b\": 1}}",
        "arn:aws:ecs:us-east-1:1:task-definition/a:1",
        "{:-x}",
        "{-}",
        "{\n}",
    ];

    /// What becomes of references.
    const REPLACED: &[(&str, &str)] = &[
        ("{imds:instance-id}", "<imds:instance-id>"),
        ("{imds:placement/availability-zone}", "<imds:placement/availability-zone>"),
        ("{imds:local-ipv4}:8125", "<imds:local-ipv4>:8125"),
        ("{imds:vpc-id}", "<imds:vpc-id>"),
        ("{imds:subnet-id}", "<imds:subnet-id>"),
        ("{imds:mac}", "<imds:mac>"),
        (
            "{imds:network/interfaces/macs/02:29:96:8f:6a:2d/security-group-ids}",
            "<imds:network/interfaces/macs/02:29:96:8f:6a:2d/security-group-ids>",
        ),
        ("{imds:tags/instance/Role}", "<imds:tags/instance/Role>"),
        ("{imds:a_b.c}", "<imds:a_b.c>"),
        ("{imds:placement/iam}", "<imds:placement/iam>"),
        ("{imds:iamb/x}", "<imds:iamb/x>"),
        ("{tag:Role}", "<tag:Role>"),
        ("{tag:aws:autoscaling:groupName}", "<tag:aws:autoscaling:groupName>"),
        ("{tag:a-b}", "<tag:a-b>"),
        ("{tag:A+b=c.d,e_f:g@h-1}", "<tag:A+b=c.d,e_f:g@h-1>"),
        ("{tag:a:}", "<tag:a:>"),
        ("{tag:iam}", "<tag:iam>"),
        ("{ecs:cluster}", "<ecs:cluster>"),
        ("{ecs:region}", "<ecs:region>"),
        ("{ecs:account}", "<ecs:account>"),
        ("{ecs:container-instance-id}", "<ecs:container-instance-id>"),
        ("{ecs:container-instance-arn}", "<ecs:container-instance-arn>"),
        ("a{tag:x}b{tag:y}c", "a<tag:x>b<tag:y>c"),
        ("{tag:x}{tag:x}", "<tag:x><tag:x>"),
        ("{\"id\":\"{imds:instance-id}\"}", "{\"id\":\"<imds:instance-id>\"}"),
        ("{a{tag:x}}", "{a<tag:x>}"),
        ("${tag:x}", "$<tag:x>"),
        ("é{tag:x}é", "é<tag:x>é"),
        ("{tag:x:-y}", "<tag:x>"),
        ("{tag:x:-}", "<tag:x>"),
        ("{ecs:region:-y}", "<ecs:region>"),
        ("{{imds:x}}", "{imds:x}"),
        ("{{tag:x:-y}}", "{tag:x:-y}"),
        ("{{ecs:anything at all/..}}", "{ecs:anything at all/..}"),
        ("{{imds:}}", "{imds:}"),
        ("{{{tag:x}}}", "{{tag:x}}"),
        ("{{tag:x}}{tag:x}", "{tag:x}<tag:x>"),
        ("{tag:x}}", "<tag:x>}"),
    ];

    /// How the error of an invalid reference begins.
    const INVALID: &[(&str, &str)] = &[
        ("{imds:", "a reference that begins with {imds: does not end"),
        ("x{tag:Role", "a reference that begins with {tag: does not end"),
        ("{tag:{tag:x}}", "a reference that begins with {tag: does not end"),
        ("{tag:x:-{tag:y}}", "a reference that begins with {tag: does not end"),
        ("{tag:x:-a{b}", "a reference that begins with {tag: does not end"),
        ("{{tag:x}", "a reference that begins with {{tag: does not end"),
        ("{{tag:x}-{tag:y}}", "a reference that begins with {{tag: does not end"),
        ("{{ecs:", "a reference that begins with {{ecs: does not end"),
        ("{imds:}", "{imds:} names nothing"),
        ("{tag:}", "{tag:} names nothing"),
        ("{ecs:}", "{ecs:} names nothing"),
        ("{tag:-x}", "{tag:} names nothing"),
        ("{tag::-x}", "{tag:} names nothing"),
        ("{imds::-secret}", "{imds:} names nothing"),
        ("{ecs:instance}", "{ecs:instance} is unknown"),
        ("{ecs:regoin}", "{ecs:regoin} is unknown, did you mean region?"),
        ("{ecs:Cluster:-secret}", "{ecs:Cluster} is unknown, did you mean cluster?"),
        ("{imds:a b}", "{imds:a b}: a path has letters"),
        ("{imds: instance-id}", "{imds: instance-id}: a path has letters"),
        ("{imds:a//b}", "{imds:a//b}: a path has letters"),
        ("{imds:/a}", "{imds:/a}: a path has letters"),
        ("{imds:a/}", "{imds:a/}: a path has letters"),
        ("{imds:a/../b}", "{imds:a/../b}: a path has letters"),
        ("{imds:.../b}", "{imds:.../b}: a path has letters"),
        ("{imds:%61}", "{imds:%61}: a path has letters"),
        ("{imds:a?b}", "{imds:a?b}: a path has letters"),
        ("{imds:é}", "{imds:é}: a path has letters"),
        ("{tag:a b:-secret}", "{tag:a b}: the key of a tag"),
        ("{tag:a/b}", "{tag:a/b}: the key of a tag"),
        ("{tag:..}", "{tag:..}: the key of a tag"),
        ("{tag:a%20b}", "{tag:a%20b}: the key of a tag"),
        ("ok {tag:x} {tag:\n}", "{tag:\n}: the key of a tag"),
    ];

    /// Ways to spell a path to credentials, or out of the tree of metadata.
    const SECRET: &[&str] = &[
        "iam",
        "iam/",
        "iam/info",
        "iam/security-credentials/",
        "iam/security-credentials/role",
        "IAM/info",
        "Iam",
        "iAM/security-credentials/role",
        "identity-credentials",
        "identity-credentials/ec2/security-credentials/ec2-instance",
        "Identity-Credentials/ec2/info",
        "/iam/info",
        "//iam/info",
        "iam//info",
        "./iam/info",
        "iam/./info",
        "../meta-data/iam/info",
        "placement/../iam/info",
        "a/../../meta-data/iam/info",
        "%69am/info",
        "i%61m/info",
        "iam%2finfo",
        "iam%2Finfo",
        "%2e%2e/iam",
        "placement/..%2fiam/info",
        "iam\\info",
        "iam?",
        "iam/info#x",
        "iam;x/info",
        " iam/info",
        "iam /info",
        "iam./info",
        ".iam/info",
        "iam\u{0}/info",
        "\u{131}am/info",
        "i\u{301}am/info",
        "\u{ff49}am/info",
        "../api/token",
        "../dynamic/instance-identity/document",
        "../user-data",
    ];

    #[test]
    fn ordinary_text_comes_through_unchanged() {
        for text in ORDINARY {
            assert_eq!(resolved(text), *text, "{text}");
        }
    }

    #[test]
    fn references_are_replaced() {
        for (text, expected) in REPLACED {
            assert_eq!(resolved(text), *expected, "{text}");
        }
    }

    #[test]
    fn invalid_references_are_errors() {
        for (text, expected) in INVALID {
            let error = resolved(text);
            assert!(error.starts_with(&format!("error: {expected}")), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_spelling_of_a_path_reaches_credentials() {
        for path in SECRET {
            let text = format!("{{imds:{path}}}");
            assert!(
                matches!(parse(&text), Err(InvalidReference::Secret(..) | InvalidReference::Path(_))),
                "{text}"
            );
            assert!(parse(&format!("{{imds:{path}:-default}}")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_default_stands_for_a_value_that_is_absent_or_empty() {
        assert_eq!(without_values("a-{tag:Role:-none}").unwrap(), "a-none");
        assert_eq!(without_values("{tag:a:-b:-c, d}").unwrap(), "b:-c, d");
        assert_eq!(without_values("{tag:a:-}").unwrap(), "");
        assert_eq!(
            without_values("x{imds:y}").unwrap_err(),
            Unresolved::Absent(Source::Imds("y".to_owned()))
        );
        assert_eq!(with("{tag:Role:-none}", "").unwrap(), "none");
        assert_eq!(with("{tag:Role}", "").unwrap(), "");
    }

    #[test]
    fn only_security_groups_may_be_a_list() {
        for path in ["security-groups", "network/interfaces/macs/02:29:96:8f:6a:2d/security-group-ids"] {
            assert_eq!(with(&format!("{{imds:{path}}}"), "sg-1\nsg-2\n").unwrap(), "sg-1,sg-2");
        }
        for (reference, value) in [
            ("{imds:placement}", "a\nb"),
            ("{imds:security-groups/x}", "a\nb"),
            ("{tag:security-groups}", "a\nb"),
            ("{tag:Role:-default}", "a\n"),
            ("{imds:security-groups}", "a\u{1b}b"),
            ("{tag:Role}", "a\tb"),
        ] {
            assert!(matches!(with(reference, value), Err(Unresolved::Unprintable(_))), "{reference}");
        }
    }

    #[test]
    fn a_value_is_never_scanned_again() {
        assert_eq!(
            with("{tag:x}-{{tag:y}}", "{imds:iam/info}{{tag:z}}").unwrap(),
            "{imds:iam/info}{{tag:z}}-{tag:y}"
        );
    }

    #[test]
    fn a_list_is_split_at_commas_outside_references() {
        for (list, expected) in [
            ("", &[] as &[&str]),
            (" a, b:2,,", &["a", "b:2"]),
            ("{tag:x:-a,b},c", &["{tag:x:-a,b}", "c"]),
            ("p-{tag:a,b}-s,c", &["p-{tag:a,b}-s", "c"]),
            ("{{tag:a,b}},c", &["{{tag:a,b}}", "c"]),
            ("{tag:Role,log,{tag:x}", &["{tag:Role", "log", "{tag:x}"]),
            ("{{tag:a,b},c", &["{{tag:a", "b}", "c"]),
            ("{a,b}", &["{a", "b}"]),
            ("{", &["{"]),
        ] {
            assert_eq!(split(list), expected, "{list}");
        }
    }

    /// Text of what means something to the parser.
    fn text() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "{",
            "}",
            "{{",
            "}}",
            "imds:",
            "tag:",
            "ecs:",
            "{imds:",
            "{tag:",
            "{ecs:",
            ":-",
            "a",
            "instance-id",
            "Role",
            "region",
            "/",
            "..",
            "iam",
            ",",
            " ",
            "é",
            "\n",
            "$",
            "{tag:Role}",
            "{imds:instance-id}",
            "{{tag:Role}}",
            "{ecs:region:-x}",
        ]);
        prop_oneof![any::<String>(), prop::collection::vec(parts, 0..16).prop_map(|parts| parts.concat())]
    }

    fn holds_a_prefix(text: &str) -> bool {
        PREFIXES.iter().any(|prefix| text.contains(&format!("{{{prefix}")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_holds_no_prefix_comes_through_unchanged(text in text()) {
            prop_assume!(!holds_a_prefix(&text));
            prop_assert_eq!(without_values(&text).unwrap(), text);
        }

        #[test]
        fn what_is_substituted_holds_no_prefix(text in text(), value in "[a-z0-9./:-]{0,9}") {
            prop_assume!(!text.contains("{{"));
            if let Ok(pieces) = parse(&text) {
                prop_assert!(!holds_a_prefix(&substitute(&pieces, &|_| Some(value.clone())).unwrap()));
            }
        }

        #[test]
        fn escaping_keeps_a_text_as_it_is(body in "[^{}]{0,12}") {
            for prefix in PREFIXES {
                let expected = format!("{{{prefix}{body}}}");
                prop_assert_eq!(without_values(&format!("{{{expected}}}")).unwrap(), expected);
            }
        }

        #[test]
        fn splitting_loses_nothing(text in text()) {
            let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect::<String>();
            prop_assert_eq!(kept(&split(&text).concat()), kept(&text));
            if parse(&text).is_ok() {
                prop_assert!(split(&text).iter().all(|item| parse(item).is_ok()));
            }
        }
    }
}
