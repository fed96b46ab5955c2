"""Plain words: none of those in words.txt is in anything that people read, and none of words-pages.txt in what users read."""

import re

import pytest

from standin.program import ROOT

TESTS = ROOT / "tests"
READ = (
    "*.md Cargo.toml Makefile clippy.toml rpm.spec packaging/* packaging/man/* packaging/completions/* packaging/examples/* "
    "src/**/*.rs src/**/*.txt tests/**/*.py tests/imports target/messages*.txt"
).split()


def lines(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


#: Between two words of one expression, which may be on two lines of a comment.
SPACE = r"\\s+(?:(?://[/!]?|#)\\s*)?"


def words(name):
    """{regular expression: what to write instead}"""
    return {re.sub(" ", SPACE, word): instead for word, instead in (line.split("\t") for line in lines(TESTS / name))}


WORDS, OF_PAGES = words("words.txt"), words("words-pages.txt")
ALLOWED = {path for glob in lines(TESTS / "words-allowed.txt") for path in ROOT.glob(glob)}
FILES = sorted({path for glob in READ for path in ROOT.glob(glob) if path.is_file() and "fuzz/target" not in str(path)} - ALLOWED)
#: Without completions and man pages, which are made from the others and from the help.
PAGES = [path for path in FILES if re.match(r"\w+\.(md|spec)|Makefile|packaging/(?!man|completions)|src/testing/pages/.*txt", str(path.relative_to(ROOT)))]


def found(text, words=WORDS):
    """[(line, word, what to write instead)]"""
    any_of_them = re.compile("|".join(rf"\b(?:{word})\b" for word in words), re.IGNORECASE)
    return [(text.count("\n", 0, hit.start()) + 1, hit[0], instead_of(hit[0], words)) for hit in any_of_them.finditer(text)]


def instead_of(word, words):
    return next(instead for each, instead in words.items() if re.fullmatch(each, word, re.IGNORECASE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_plain_words(path):
    text = path.read_text(errors="replace")
    assert found(text, WORDS | OF_PAGES if path in PAGES else WORDS) == []
    assert path.suffix not in (".rs", ".py") or found(text.replace("_", " ")) == [], "in a name"


def test_a_word_is_found_in_any_form():
    assert [(line, word) for line, word, _ in found("so that\nMended, and\n/// never looked\n/// at, but recommended")] == [
        (2, "Mended"),
        (3, "looked\n/// at"),
    ]


def test_there_is_something_to_read():
    assert len(FILES) + len(ALLOWED) > 100 and len(PAGES) > 35
