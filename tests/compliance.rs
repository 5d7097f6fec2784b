//! `docs/COMPLIANCE.md` is complete and true: every id has its row, every test and place that a row
//! names exists, and no comment names an id without a row.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic, and knows its numbers"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The requirements: sections, and how they are numbered.
const REQUIREMENTS: &str = "
    6455-2 1, 6455-2.1 1-2, 6455-3 1-6,
    6455-4.1 1-48, 6455-4.2 1, 6455-4.2.1 1-12, 6455-4.2.2 1-23, 6455-4.3 1-7, 6455-4.4 1-2,
    6455-5.1 1-8, 6455-5.2 1-11, 6455-5.3 1-5, 6455-5.4 1-16, 6455-5.5 1-2, 6455-5.5.1 1-15,
    6455-5.5.2 1-4, 6455-5.5.3 1-4, 6455-5.6 1-4, 6455-5.7 1, 6455-5.8 1,
    6455-6.1 1-10, 6455-6.2 1-7,
    6455-7.1.1 1-5, 6455-7.1.2 1-2, 6455-7.1.3 1, 6455-7.1.4 1, 6455-7.1.5 1, 6455-7.1.6 1,
    6455-7.1.7 1-6, 6455-7.2.1 1-3, 6455-7.2.2 1, 6455-7.2.3 1-4, 6455-7.3 1-2, 6455-7.4 1,
    6455-7.4.1 1-10, 6455-7.4.2 1-4,
    6455-8.1 1, 6455-9 1-3, 6455-9.1 1-9, 6455-9.2 1,
    6455-10.1 1, 6455-10.2 1-2, 6455-10.3 1-2, 6455-10.4 1-2, 6455-10.5 1, 6455-10.6 1,
    6455-10.7 1-4, 6455-10.8 1,
    6455-11.1.1 1-3, 6455-11.1.2 1-2, 6455-11.3.1 1, 6455-11.3.2 1-2, 6455-11.3.3 1,
    6455-11.3.4 1-2, 6455-11.3.5 1-2, 6455-11.6 1, 6455-11.8 1, 6455-12 1,
    7692-4 1, 7692-5 1-15, 7692-5.1 1, 7692-5.2 1, 7692-6 1, 7692-6.1 1-5, 7692-6.2 1-2,
    7692-7 1-2, 7692-7.1.1.1 1-4, 7692-7.1.1.2 1-3, 7692-7.1.2.1 1-5, 7692-7.1.2.2 1-6,
    7692-7.2.1 1-15, 7692-7.2.2 1-11, 7692-7.2.3 1-2, 7692-7.3 1, 7692-8 1,
    8441-3 1-3, 8441-4 1-3, 8441-5 1-9, 8441-8 1, 9220-3 1-4, K 1-20";

/// The catalogue of bad input. What is left out was never given to a row.
const CATALOGUE: &str = "
    H 1-12 14-16 18-40 42-55, O 1-6, X 1-7 9-20 22-29, R 1-2 4-8 10-15 17-24,
    F 1-16 18 20-26 30-36 40-44, G 1-9, C 1-8 10-15 20-24 26-33, U 1-11 13-19, D 1-17 20-32,
    P 1 3-10, M 1-5, T 1-6";

/// What went wrong elsewhere.
const ELSEWHERE: &str = "A1 1-28, A2 1-18, A3 1-10, A4 1-17, A5 1-11, A6 1-10, A7 1-9, A8";

/// How a reason starts that stands in the place of a test.
const REASONS: [&str; 2] = ["Outside: ", "By construction: "];

#[test]
fn the_table_is_complete_and_true() {
    let project = Project::read();
    assert_eq!(ids(REQUIREMENTS).len(), 276 + 76 + 16 + 4 + 20);
    assert_eq!(ids(CATALOGUE).len() + ids(ELSEWHERE).len(), 246 + 104);
    let problems = problems(&project.table, &project);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    for (state, count) in states(&project.table) {
        println!("{count:4} {state}");
    }
}

#[test]
fn every_id_in_a_comment_has_a_row() {
    let project = Project::read();
    let known: BTreeSet<_> = rows(&project.table).map(|row| row.id.to_owned()).collect();
    let mut found = 0;
    for (path, file) in &project.files {
        for id in &file.ids {
            assert!(known.contains(id), "{path} names {id}, which has no row");
        }
        found += file.ids.len();
    }
    assert!(found > 300, "only {found} ids in comments");
}

/// The checks see what they are there to see.
#[test]
fn damage_to_the_table_is_noticed() {
    let project = Project::read();
    let table = &project.table;
    let mut lines = table.lines().filter(|line| line.starts_with("| `"));
    let (line, second) = (lines.nth(40).unwrap(), lines.next().unwrap());
    let of = |old: &str, new: &str| {
        let damaged = table.replacen(old, new, 1);
        assert_ne!(damaged, *table, "{old}");
        problems(&damaged, &project)
    };
    assert!(!of(&format!("{line}\n"), "").is_empty());
    assert!(!of(line, second).is_empty());
    assert!(!of("rs::f_03_empty_messages`", "rs::f_03_no_such_test`").is_empty());
    assert!(!of("tests/connection/framing.rs", "tests/connection/nothing.rs").is_empty());
    assert!(
        !of(
            "src/handshake/url.rs::Url::parse`",
            "src/handshake/url.rs::Uri::parse`"
        )
        .is_empty()
    );
    // A function that is there, but is no test, and a test of other rows.
    assert!(!of("rs::r_01_02_accepted`", "rs::client_with`").is_empty());
    assert!(
        !of(
            "rs::m_05_attackers_do_not_choose_what_is_on_the_wire`",
            "rs::busy`"
        )
        .is_empty()
    );
    assert!(!of("rs::h_03_one_empty_line_first`", "rs::h_04_garbage_first`").is_empty());
    // The file of the test mentions the row, and the tests that are left do not.
    let shows = "`tests/handshake/client.rs::r_20_after_a_failure_nothing_comes`, ";
    assert!(!of(shows, "").is_empty());
    assert!(!of("Outside: for proxies", "Not yet: for proxies").is_empty());
    assert!(!of("Outside: for proxies", "").is_empty());
    assert!(!of("Outside: for proxies", "because").is_empty());
    assert!(!of("`src/frame/decoder.rs::Decoder` | ", "").is_empty());
    assert!(!of("`src/frame/decoder.rs::Decoder`", "somewhere").is_empty());
}

/// All that is wrong with a table.
fn problems(table: &str, project: &Project) -> Vec<String> {
    let mut problems = Vec::new();
    let expected = [REQUIREMENTS, CATALOGUE, ELSEWHERE].map(ids).concat();
    let actual: Vec<_> = rows(table).map(|row| row.id).collect();
    let unknown = actual
        .iter()
        .filter(|id| !expected.contains(&(**id).to_owned()));
    problems.extend(unknown.map(|id| format!("{id}: no such id")));
    for id in &expected {
        match actual.iter().filter(|other| *other == id).count() {
            0 => problems.push(format!("{id}: no row")),
            1 => {}
            count => problems.push(format!("{id}: {count} rows")),
        }
    }
    if problems.is_empty() && actual != expected {
        problems.push("the rows are out of order".into());
    }
    let [requirements, catalogue] = [REQUIREMENTS, CATALOGUE].map(ids);
    for row in rows(table) {
        let is_in = |ids: &[String]| ids.iter().any(|id| id == row.id);
        if row.place.is_some() != is_in(&requirements) {
            problems.push(format!("{}: has another number of cells", row.id));
        }
        let faults = row.faults(project, is_in(&catalogue));
        problems.extend(
            faults
                .into_iter()
                .map(|fault| format!("{}: {fault}", row.id)),
        );
    }
    problems
}

/// How many rows there are in each state.
fn states(table: &str) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for row in rows(table) {
        let reason = REASONS
            .into_iter()
            .find(|start| row.shown.starts_with(start));
        *states
            .entry(reason.unwrap_or("Shown by tests"))
            .or_default() += 1;
    }
    states
}

/// A row of the table.
struct Row<'a> {
    id: &'a str,
    text: &'a str,
    /// Only requirements say where.
    place: Option<&'a str>,
    shown: &'a str,
}

fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    table.lines().filter_map(|line| {
        let cells: Vec<_> = line
            .strip_prefix("| ")?
            .strip_suffix(" |")?
            .split(" | ")
            .collect();
        let id = cells[0].strip_prefix('`')?.strip_suffix('`')?;
        let (place, shown) = match cells[2..] {
            [shown] => (None, shown),
            [place, shown] => (Some(place), shown),
            _ => panic!("the row of {id} has another number of cells"),
        };
        Some(Row {
            id,
            text: cells[1],
            place,
            shown,
        })
    })
}

impl Row<'_> {
    fn faults(&self, project: &Project, is_catalogued: bool) -> Vec<String> {
        let mut faults = Vec::new();
        if self.text.is_empty() {
            faults.push("says nothing".into());
        }
        let reason = REASONS
            .into_iter()
            .find_map(|start| self.shown.strip_prefix(start));
        let tests: Vec<_> = references(self.shown).collect();
        match reason {
            Some(reason) if reason.len() < 8 => faults.push("has no reason".into()),
            None if !is_list(self.shown) => faults.push("has neither tests nor a reason".into()),
            _ => {}
        }
        let none = File::default();
        let file = |path: &str| project.files.get(path).unwrap_or(&none);
        for (path, name) in &tests {
            if !file(path).has_test(name) {
                faults.push(format!("{path} has no test {name}"));
            }
        }
        let is_shown = |(path, name): &(&str, &str)| {
            names(name).contains(self.id) || file(path).mentions(name, self.id)
        };
        if is_catalogued && reason.is_none() && !tests.iter().any(is_shown) {
            faults.push("none of its tests has it in its name, or says that it is about it".into());
        }
        match self.place {
            Some("—") if reason.is_none() => faults.push("has tests, but no place".into()),
            Some("—") | None => {}
            Some(place) if !is_list(place) => faults.push(format!("{place} is no place")),
            Some(place) => {
                for (path, item) in references(place) {
                    if !item.split("::").all(|name| file(path).has_item(name)) {
                        faults.push(format!("{path} has no {item}"));
                    }
                }
            }
        }
        faults
    }
}

/// The files and names in backticks: `path.rs::name`.
fn references(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    let code = cell.split('`').skip(1).step_by(2);
    code.filter_map(|code| {
        let (path, name) = code.split_once("::")?;
        path.ends_with(".rs").then_some((path, name))
    })
}

/// Whether a cell has references and nothing else.
fn is_list(cell: &str) -> bool {
    cell.split(", ").count() == references(cell).count()
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The ids of a list: sections with ranges of numbers.
fn ids(list: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for section in list.split(',').map(str::trim) {
        let Some((section, ranges)) = section.split_once(' ') else {
            ids.push(section.to_owned());
            continue;
        };
        for range in ranges.split(' ') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let numbers = first.parse().unwrap()..=last.parse::<u32>().unwrap();
            ids.extend(numbers.map(|number| match section.as_bytes() {
                b"K" => format!("K{number}"),
                [b'A', ..] => format!("{section}.{number}"),
                _ => format!("{section}-{number:02}"),
            }));
        }
    }
    ids
}

/// The rows in the name of a test: `f_01_f_02_hello` has two, and `d_11_to_d_17_malformed` seven.
fn names(test: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let (mut letter, mut last, mut is_range) = ("", 0, false);
    for word in test.split('_') {
        match (word.as_bytes(), word.parse::<u32>()) {
            ([b'a'..=b'z'], _) => letter = word,
            (b"to", _) => is_range = true,
            (b"and", _) => {}
            ([_, _], Ok(number)) if !letter.is_empty() => {
                let first = if is_range { last } else { number };
                let letter = letter.to_uppercase();
                ids.extend((first..=number).map(|number| format!("{letter}-{number:02}")));
                (last, is_range) = (number, false);
            }
            _ => break,
        }
    }
    ids
}

/// The ids that a text mentions, in all their forms.
fn mentioned(text: &str) -> impl Iterator<Item = String> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '.';
    let words = text.split(move |char| !is_part(char));
    words.filter_map(|word| {
        let word = word.trim_end_matches('.');
        if word.len() == 4 && word.as_bytes()[1] == b'-' {
            let is_row = "HOXRFGCUDPMT".contains(&word[..1]);
            return (is_row && is_number(&word[2..])).then(|| word.to_owned());
        }
        if let Some(number) = word.strip_prefix('K') {
            return is_number(number).then(|| word.to_owned());
        }
        let (front, number) = word.rsplit_once('-').or_else(|| word.rsplit_once('.'))?;
        let is_requirement = ["6455-", "7692-", "8441-", "9220-"]
            .iter()
            .filter_map(|rfc| front.strip_prefix(rfc))
            .any(|section| section.split('.').all(is_number));
        let is_elsewhere = matches!(front.as_bytes(), [b'A', b'1'..=b'8']);
        (is_number(number) && (is_requirement || is_elsewhere)).then(|| word.to_owned())
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the repository has.
struct Project {
    table: String,
    files: BTreeMap<String, File>,
}

#[derive(Default)]
struct File {
    text: String,
    /// The ids that it mentions.
    ids: BTreeSet<String>,
    /// The names of its tests, and of scenarios that run on every adapter.
    tests: BTreeSet<String>,
    /// The ids that its functions and tables mention, with the comments on them.
    items: BTreeMap<String, BTreeSet<String>>,
}

impl Project {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = BTreeMap::new();
        for folder in ["src", "tests", "examples", "docs"] {
            collect(root, &root.join(folder), &mut files);
        }
        let table = files["docs/COMPLIANCE.md"].text.clone();
        Self { table, files }
    }
}

impl File {
    fn new(text: String) -> Self {
        let mut tests = BTreeSet::new();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let line = line.strip_prefix("async ").unwrap_or(line);
            if line == "#[test]" || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(signature) = line.strip_prefix("fn ") {
                let name: String = signature
                    .chars()
                    .take_while(|char| is_word(*char))
                    .collect();
                if std::mem::take(&mut is_test) {
                    tests.insert(name);
                }
            }
        }
        for scenarios in text.split("on_every_adapter!(").skip(1) {
            let (names, _) = scenarios.split_once(");").unwrap_or_default();
            tests.extend(names.split(',').map(|name| name.trim().to_owned()));
        }
        let ids = mentioned(&text).collect();
        let items = items(&text);
        Self {
            text,
            ids,
            tests,
            items,
        }
    }

    /// Whether a test itself mentions an id: in the comments on it, in it, or in a table that it
    /// goes through.
    fn mentions(&self, test: &str, id: &str) -> bool {
        self.items.get(test).is_some_and(|ids| ids.contains(id))
    }

    fn has_test(&self, name: &str) -> bool {
        self.tests.contains(name)
    }

    /// Whether it has an item of this name.
    fn has_item(&self, name: &str) -> bool {
        let keywords = ["fn", "struct", "enum", "trait", "const", "type"];
        keywords.iter().any(|keyword| {
            let start = format!("{keyword} {name}");
            self.text.match_indices(&start).any(|(at, _)| {
                let after = self.text[at + start.len()..].chars().next();
                let before = self.text[..at].chars().next_back();
                !after.is_some_and(is_word) && !before.is_some_and(is_word)
            })
        })
    }
}

/// The ids that the functions of a file mention, and the comments right on them. What they name in
/// capitals counts as theirs: the tables of cases.
fn items(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut blocks: BTreeMap<String, String> = BTreeMap::new();
    let (mut comments, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let name = item_name(trimmed);
        let Some(name) = name else {
            match trimmed.starts_with("//") || trimmed.starts_with('#') {
                true => comments.extend([trimmed, "\n"]),
                false => comments.clear(),
            }
            continue;
        };
        let block = blocks.entry(name.to_owned()).or_default();
        block.extend([&std::mem::take(&mut comments), line, "\n"]);
        let indent = &line[..line.len() - trimmed.len()];
        let is_end = |line: &str| {
            let rest = line.strip_prefix(indent);
            rest.is_some_and(|rest| rest.starts_with(['}', ']', ')']) && !rest.ends_with('{'))
        };
        if !line.ends_with(['}', ';']) {
            for line in lines.by_ref() {
                block.extend([line, "\n"]);
                if is_end(line) {
                    break;
                }
            }
        }
    }
    let ids = |block: &str| mentioned(block).collect::<BTreeSet<_>>();
    let tables: BTreeMap<_, _> = blocks
        .iter()
        .filter(|(name, _)| name.chars().all(|char| char.is_uppercase() || char == '_'))
        .map(|(name, block)| (name.clone(), ids(block)))
        .collect();
    let all = blocks.iter().map(|(name, block)| {
        let mut all = ids(block);
        for word in block.split(|char| !is_word(char)) {
            all.extend(tables.get(word).into_iter().flatten().cloned());
        }
        (name.clone(), all)
    });
    all.collect()
}

/// The name of the function or table that begins with this line.
fn item_name(line: &str) -> Option<&str> {
    let mut rest = line;
    for word in ["pub ", "pub(crate) ", "pub(super) ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let starts = ["fn ", "const ", "static "];
    let rest = starts.iter().find_map(|start| rest.strip_prefix(start))?;
    let rest = rest.strip_prefix("fn ").unwrap_or(rest);
    rest.split(|char| !is_word(char)).next()
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, File>) {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, files);
        } else if matches!(
            path.extension().and_then(|end| end.to_str()),
            Some("rs" | "md")
        ) {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            files.insert(name, File::new(fs::read_to_string(&path).unwrap()));
        }
    }
}
