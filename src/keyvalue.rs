//! Files of KEY=VALUE lines: our settings file and the agent's `ecs.config`.

/// A KEY=VALUE line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    /// Whether it was in quotes.
    pub(crate) quoted: bool,
}

/// The KEY=VALUE lines. Quotes around a whole value are removed, as by systemd, and the byte order mark of an editor is
/// skipped.
///
/// # Errors
/// The number of a line that is not KEY=VALUE, empty or a comment (`#` or `;`).
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Result<Pair<'_>, usize>> {
    let numbered = without_mark(text).lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';'])).map(|(number, line)| {
        let (key, value) = line.split_once('=').ok_or(number)?;
        let inside = unquoted(value.trim());
        let (value, quoted) = (inside.unwrap_or(value.trim()), inside.is_some());
        Ok(Pair { line: number, key: key.trim(), value, quoted })
    })
}

/// The text after a byte order mark.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn unquoted(value: &str) -> Option<&str> {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_quotes_and_equals_signs() {
        let text = "\u{feff}# A=1\n\n; B=2\n C = c=d \nD=\"x y\"\nE='\"'\r\nF=\nnonsense\n";
        let read: Vec<_> = pairs(text).map(|p| p.map(|p| (p.line, p.key, p.value))).collect();
        let expected =
            [Ok((4, "C", "c=d")), Ok((5, "D", "x y")), Ok((6, "E", "\"")), Ok((7, "F", "")), Err(8)];
        assert_eq!(read, expected);
    }
}
