//! Runs the transcripts of the guide to REST as they are written, and holds the guide to what comes
//! out.
//!
//! In a block of the kind `console`, a line that begins with `$ ` is a command, and what follows is
//! what it prints. `curl` and `printf` run in a shell. `NAME=value` takes a value out of what was
//! printed last: from where it stands in the guide, out of what was really printed, so that the
//! commands that follow are about the session, lock or message of this run.
//!
//! With `HOLDFAST_BLESS=1` the guide is written anew with what was printed. `NAME=@key` is then a
//! value that is not known yet, by its place: `@id`, `@messages.0.token`, `@holdfast-token`.

mod matching;
mod output;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use self::matching::Matcher;
use self::output::Output;
use super::cluster;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/rest.md");

/// Says at the end which status it was, and gives up before the test does.
const SHELL: &str = r#"curl() { command curl -sS --max-time 20 -w '\n<%{http_code}>' "$@"; }"#;

/// A command of the guide with what it is said to print.
struct Step {
    /// Line of the command in the guide, counted from 0, and of the first line after its output.
    lines: std::ops::Range<usize>,
    command: String,
    /// How many of the lines are the command.
    command_lines: usize,
    printed: String,
}

#[tokio::test]
async fn the_guide_says_what_happens() {
    let text = fs::read_to_string(GUIDE).expect("the guide is there");
    let (cluster, nodes) = cluster(3).await;
    let document = nodes[0].get("/v1/openapi.json").send().await.is(200).value();
    let mut run = Run {
        dir: tempfile::tempdir().expect("a temporary directory"),
        variables: BTreeMap::from([("HOLDFAST".to_owned(), nodes[0].url())]),
        matcher: Matcher::default(),
        last: None,
        asked: BTreeSet::new(),
        wrong: Vec::new(),
        blessed: Vec::new(),
    };
    let steps = steps(&text);
    assert!(steps.len() > 40, "the transcripts were not found");
    for step in &steps {
        run.step(step).await;
    }
    cluster.shutdown().await;
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        fs::write(GUIDE, run.blessed(&text, &steps)).expect("the guide can be written");
    } else {
        assert!(run.wrong.is_empty(), "the guide is wrong:\n\n{}", run.wrong.join("\n\n"));
    }
    let missing: Vec<_> = operations(&document).difference(&run.asked).cloned().collect();
    assert!(missing.is_empty(), "no transcript shows {missing:?}");
}

fn steps(text: &str) -> Vec<Step> {
    let lines: Vec<&str> = text.lines().collect();
    let mut steps: Vec<Step> = Vec::new();
    let mut in_console = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.starts_with("```") {
            in_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_console) {
            let (begin, mut command) = (at, command.to_owned());
            while command.ends_with('\\') {
                command.pop();
                at += 1;
                command.push_str(lines[at].trim_start());
            }
            let command_lines = at + 1 - begin;
            let ends = |line: &&&str| line.starts_with("$ ") || line.starts_with("```");
            let printed: Vec<&str> =
                lines[at + 1..].iter().take_while(|line| !ends(line)).copied().collect();
            let printed_lines = begin..at + 1 + printed.len();
            let printed = printed.join("\n");
            steps.push(Step { lines: printed_lines, command, command_lines, printed });
        }
        at += 1;
    }
    steps
}

struct Run {
    /// Where the shell is.
    dir: TempDir,
    variables: BTreeMap<String, String>,
    matcher: Matcher,
    /// What the guide says, and what was printed.
    last: Option<(Output, Output)>,
    asked: BTreeSet<String>,
    wrong: Vec<String>,
    /// What each step should look like.
    blessed: Vec<(String, String)>,
}

impl Run {
    async fn step(&mut self, step: &Step) {
        if step.command.starts_with("printf ") {
            assert_eq!(self.shell(&step.command).await, "", "{}", step.command);
            return self.blessed.push((String::new(), String::new()));
        }
        if step.command.starts_with("curl ") {
            let printed = self.curl(&step.command).await;
            self.blessed.push((String::new(), printed));
        } else {
            let assigned = self.assign(&step.command);
            self.blessed.push((assigned, String::new()));
        }
        let (guide, printed) = (&step.printed, self.blessed.last().map(|last| last.1.clone()));
        if let Some(printed) = printed.filter(|printed| !printed.is_empty() || !guide.is_empty()) {
            let (said, got) = (Output::read(guide), Output::read(&printed));
            if let Err(why) = self.matcher.output(&said, &got) {
                let Step { lines, command, .. } = step;
                let line = lines.start + 1;
                self.wrong.push(format!(
                    "line {line}: {why}\n$ {command}\nwhat the guide says:\n{guide}\n\
                     what was printed:\n{printed}"
                ));
            }
            self.last = Some((said, got));
        }
    }

    /// Runs the command, and answers what it prints, without what is never the same.
    async fn curl(&mut self, command: &str) -> String {
        let (method, path) = request(command);
        let printed = self.shell(&format!("{SHELL}\n{command}")).await;
        let (printed, status) = printed.rsplit_once("\n<").expect("curl says the status");
        let status: u16 = status.trim_end_matches('>').parse().expect("a status");
        let output = Output::read(printed);
        assert!(output.allows(status), "{command}: {status} came unseen: {printed}");
        self.asked.insert(format!("{method} {path}"));
        output.tidied()
    }

    async fn shell(&self, script: &str) -> String {
        let mut shell = Command::new("bash");
        shell.args(["-u", "-c", script]).envs(&self.variables).current_dir(self.dir.path());
        let ran = shell.stdin(Stdio::null()).output().await.expect("bash is there");
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{script}: {errors}; are bash and curl installed?");
        String::from_utf8_lossy(&ran.stdout).replace('\r', "")
    }

    /// Takes values out of what was printed last.
    fn assign(&mut self, command: &str) -> String {
        let mut assigned = Vec::new();
        for assignment in command.split(' ') {
            let (name, value) = assignment.split_once('=').expect("NAME=value, or curl");
            if name == "HOLDFAST" {
                assigned.push(assignment.to_owned());
                continue;
            }
            let (said, got) = self.last.as_ref().expect("something was printed before");
            let place = match value.strip_prefix('@') {
                Some(place) => place.to_owned(),
                None => said.place_of(value).unwrap_or_else(|| {
                    panic!("{assignment}: the guide shows no such value before")
                }),
            };
            let real =
                got.at(&place).unwrap_or_else(|| panic!("{assignment}: no {place}: {got:?}"));
            assigned.push(format!("{name}={real}"));
            self.variables.insert(name.to_owned(), real);
        }
        assigned.join(" ")
    }

    /// The guide as it should be.
    fn blessed(&self, text: &str, steps: &[Step]) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (step, (assigned, printed)) in steps.iter().zip(&self.blessed).rev() {
            let mut command = lines[step.lines.start..][..step.command_lines].to_vec();
            if !assigned.is_empty() {
                command = vec![format!("$ {assigned}")];
            }
            command.extend(printed.lines().map(str::to_owned));
            lines.splice(step.lines.clone(), command);
        }
        lines.join("\n") + "\n"
    }
}

/// What a command asks for, as the document writes it.
fn request(command: &str) -> (String, String) {
    let words: Vec<&str> = command.split(' ').collect();
    let named = words.iter().position(|word| *word == "-X").map(|at| words[at + 1]);
    let method = named.unwrap_or("GET").to_lowercase();
    let path = command.split("$HOLDFAST").nth(1).expect("a request to $HOLDFAST");
    let path = path.split(['?', ' ', '\'', '"']).next().unwrap_or_default();
    (method, template(path))
}

/// The path with what is variable in it taken out.
fn template(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let variable = |at: usize| match parts.get(2).copied().unwrap_or_default() {
        "caches" => at == 3 || at == 5,
        "locks" | "queues" | "sessions" | "errors" => at == 3,
        _ => false,
    };
    let parts = parts.iter().enumerate();
    parts.map(|(at, part)| if variable(at) { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// All operations of the document.
fn operations(document: &serde_json::Value) -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("an item").keys();
        operations.extend(methods.map(|method| format!("{method} {}", template(path))));
    }
    operations
}
