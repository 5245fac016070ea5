//! What is wrong with a configuration, told all at once.
//!
//! 1. A problem names its place, says what is wrong, and what to do.
//! 2. No text of a secret, and no line of the file, is ever part of one.
//! 3. What follows only from a value that could not be read is not told a second time.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::path::Path;

use toml::Spanned;

/// One thing to put right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Where a problem is: `proxy.toml:12: clients[0].scopes`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
    /// A setting, a variable or a flag. Empty when the file as a whole is meant.
    pub(crate) path: String,
}

/// Everything that is wrong, in the order of the lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    /// A problem with something outside a configuration file.
    pub(crate) fn one(path: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let place = Place { file: None, line: None, path: path.to_owned() };
        Self(vec![Problem { place, message: message.into(), hint: hint.into() }])
    }
}

impl Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, message, hint } = self;
        let place = place.to_string();
        if place.is_empty() {
            f.write_str(message)?;
        } else {
            write!(f, "{place}: {message}")?;
        }
        write!(f, "\n  hint: {hint}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, path } = self;
        let file = file.as_ref().map(|file| match line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        });
        let path = (!path.is_empty()).then(|| path.clone());
        let parts: Vec<String> = file.into_iter().chain(path).collect();
        f.write_str(&parts.join(": "))
    }
}

/// A setting while it is checked: its path, and where in the text it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    path: String,
    offset: Option<usize>,
}

impl Spot {
    pub(super) const fn root() -> Self {
        Self { path: String::new(), offset: None }
    }

    /// A variable or a flag.
    pub(super) fn outside(name: &str) -> Self {
        Self { path: name.to_owned(), offset: None }
    }

    /// A part of this that has no place of its own, as when it is missing.
    pub(super) fn part(&self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{name}", self.path), offset: self.offset }
    }

    pub(super) fn field<T>(&self, name: &str, value: &Spanned<T>) -> Self {
        Self { offset: Some(value.span().start), ..self.part(name) }
    }

    pub(super) fn item<T>(&self, index: usize, value: &Spanned<T>) -> Self {
        Self { path: format!("{}[{index}]", self.path), offset: Some(value.span().start) }
    }

    /// An entry that the file left out.
    pub(super) fn absent_item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), offset: None }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The last of its names.
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// Collects problems and warnings.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: Option<String>,
    text: &'a str,
    /// Paths that could not be read: what is said of them, or of their parts, is an echo.
    broken: BTreeSet<String>,
    /// Tables with a name that might stand for anything.
    unguessed: BTreeSet<String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(origin: Option<&Path>, text: &'a str) -> Self {
        let file = origin.map(|origin| origin.display().to_string());
        let (broken, unguessed) = (BTreeSet::new(), BTreeSet::new());
        Self { file, text, broken, unguessed, problems: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn problem(
        &mut self,
        spot: &Spot,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if !self.is_broken(&spot.path) {
            let place = self.place(&spot.path, spot.offset);
            self.problems.push(Problem { place, message: message.into(), hint: hint.into() });
        }
    }

    /// A setting of the contract that would have no effect. Whatever else is wrong with its parts,
    /// putting them right would not help.
    pub(super) fn not_enforced(&mut self, spot: &Spot) {
        self.problem(spot, not_enforced(spot.name()), WITHOUT_IT);
    }

    /// The same, where something must stand in its place.
    pub(super) fn not_enforced_but(&mut self, spot: &Spot, instead: &str) {
        self.problem(spot, not_enforced(spot.name()), format!("{WITHOUT_IT}; {instead}"));
    }

    /// One of `parts` is missing, which cannot be said when what was meant as one is told already.
    pub(super) fn lacks(&mut self, spot: &Spot, parts: &[&str], message: &str, hint: &str) {
        let lost = parts.iter().any(|it| self.is_broken(&spot.part(it).path));
        if !lost && !self.unguessed.contains(&spot.path) {
            self.problem(spot, message, hint);
        }
    }

    pub(super) fn warn(&mut self, spot: &Spot, message: &str) {
        if !self.is_broken(&spot.path) {
            let warning = format!("{}: {message}", self.place(&spot.path, spot.offset));
            self.warnings.push(warning);
        }
    }

    /// A value that could not be read at all: said once, and nothing more of it or its parts.
    pub(super) fn broken(&mut self, told: Told) {
        let place = self.place(&told.path, told.offset);
        self.problems.push(Problem { place, message: told.message, hint: told.hint });
        self.broken.insert(told.path);
    }

    /// A name that is not known in its table.
    pub(super) fn unknown(&mut self, told: Told, stands_for: StandsFor) {
        let place = self.place(&told.path, told.offset);
        self.problems.push(Problem { place, message: told.message, hint: told.hint });
        match stands_for {
            StandsFor::Absent(path) => self.broken.insert(path),
            StandsFor::Any { of } => self.unguessed.insert(of),
            StandsFor::Another => false,
        };
    }

    /// Whether `path`, or what it is part of, could not be read.
    pub(super) fn is_broken(&self, path: &str) -> bool {
        self.broken.iter().any(|broken| is_part(path, broken))
    }

    /// Whether a part of `spot` could not be read, so that what is left of it is not all there was.
    pub(super) fn lost_parts(&self, spot: &Spot) -> bool {
        self.broken.iter().any(|broken| is_part(broken, &spot.path))
    }

    /// Whether any of the names in `kind` could not be read, so that a reference may mean it.
    pub(super) fn lost_names(&self, kind: &str) -> bool {
        let entry = format!("{kind}[");
        let lost = |it: &&str| it.ends_with("].name") || it.ends_with(']') && !it.contains('.');
        let mut entries =
            self.broken.iter().map(String::as_str).filter(|it| it.starts_with(&entry));
        self.is_broken(kind) || entries.any(|it| lost(&it))
    }

    pub(super) fn finish(mut self) -> Result<Vec<String>, Problems> {
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        self.problems.sort_by_key(|it| it.place.line);
        Err(Problems(self.problems))
    }

    fn place(&self, path: &str, offset: Option<usize>) -> Place {
        let before = offset.map(|offset| self.text.as_bytes().iter().take(offset));
        let line = before.map(|before| before.filter(|&&byte| byte == b'\n').count() + 1);
        Place { file: self.file.clone(), line, path: path.to_owned() }
    }
}

/// A value that could not be read.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) path: String,
    pub(super) offset: Option<usize>,
    pub(super) message: String,
    pub(super) hint: String,
}

/// The setting that an unknown name was probably meant to be.
#[derive(Debug)]
pub(super) enum StandsFor {
    /// One that is not there: that it is missing would be an echo.
    Absent(String),
    /// One that is there as well, of which everything wrong is still to be said.
    Another,
    /// Any setting of the table `of`.
    Any { of: String },
}

/// Whether `path` is `whole` or below it.
fn is_part(path: &str, whole: &str) -> bool {
    let rest = path.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

pub(super) const WITHOUT_IT: &str = "remove it to start without it";

pub(super) fn not_enforced(name: &str) -> String {
    format!("`{name}` is not enforced by this build yet")
}

/// The known word that `typed` was probably meant to be.
pub(super) fn closest<'w>(
    typed: &str,
    known: impl IntoIterator<Item = &'w str>,
) -> Option<&'w str> {
    // A third of the letters may be wrong, and never so many that any short word would do.
    let limit = (typed.chars().count() / 3).clamp(1, 3);
    let ranked = known.into_iter().map(|word| (distance(typed, word), word));
    ranked.filter(|(distance, _)| *distance <= limit).min().map(|(_, word)| word)
}

/// Levenshtein's distance, with a swap of neighbours for one, case aside.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
    for (i, &l) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &r) in right.iter().enumerate() {
            let change = at(&row, j) + usize::from(l != r);
            let edit = at(&row, j + 1).min(at(&next, j)) + 1;
            let swapped =
                i > 0 && j > 0 && left.get(i - 1) == Some(&r) && right.get(j - 1) == Some(&l);
            let swap = if swapped { at(&above, j - 1) + 1 } else { usize::MAX };
            next.push(change.min(edit).min(swap));
        }
        above = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_close_and_nothing_else() {
        let known = ["scopes", "operations", "from", "key"];
        assert_eq!(closest("scope", known), Some("scopes"));
        assert_eq!(closest("opreations", known), Some("operations"));
        assert_eq!(closest("kye", known), Some("key"));
        assert_eq!(closest("rate", known), None);
        assert_eq!(closest("", known), None);
    }

    #[test]
    fn places_read_as_compilers_write_them() {
        let mut report = Report::new(Some(Path::new("proxy.toml")), "a = 1\nb = 2\n");
        let spot = Spot { path: "b".to_owned(), offset: Some(10) };
        report.problem(&spot, "is 2", "make it 3");
        report.problem(&Spot::outside("--listen"), "is odd", "make it even");
        let problems = report.finish().unwrap_err();
        assert_eq!(
            problems.to_string(),
            "proxy.toml: --listen: is odd\n  hint: make it even\nproxy.toml:2: b: is 2\n  hint: make it 3"
        );
    }
}
