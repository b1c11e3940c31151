//! Small made-up worlds for opkg: a few packages, a list of them, and command lines. The real opkg of a root carries them
//! out, our re-creation of its decisions does too, and both must say and record the same.

pub mod case;
mod dry;
mod front;
mod generate;
mod real;

pub use dry::carry_out;
pub use front::{as_front_tells, carry_out_by_front};
pub use generate::{plain_universe, universe};
pub use real::{Judge, without_times};

/// One package of a universe: its control fields in order, and the files that it brings.
#[derive(Clone, Debug)]
pub struct Made {
    /// Fields, without what a list adds.
    pub fields: Vec<(String, String)>,
    /// Paths below the root.
    pub files: Vec<String>,
}

impl Made {
    /// The value of a field; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        let version = self.field("Version").replace(':', "_");
        format!("{}_{version}_{}.ipk", self.field("Package"), self.field("Architecture"))
    }
}

/// What happens in a universe.
#[derive(Clone, Debug)]
pub enum Step {
    /// The list holds these packages from now on.
    Lists(Vec<usize>),
    /// `opkg` with these arguments; `@N` stands for the path of package N's file.
    Run(Vec<String>),
}

/// Packages and what happens.
#[derive(Clone, Debug)]
pub struct Universe {
    /// What it was made from.
    pub seed: u64,
    /// The packages.
    pub packages: Vec<Made>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What was said and recorded after one command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The command line.
    pub command: String,
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The status file, without times.
    pub status: String,
}

/// The first difference between two accounts of a universe, for people.
pub fn difference(universe: &Universe, real: &[Said], ours: &[Said]) -> Option<String> {
    let at = real.iter().zip(ours).position(|(real, ours)| real != ours);
    let (real, ours) = match at {
        Some(at) => (real.get(at)?, ours.get(at)?),
        None if real.len() == ours.len() => return None,
        None => return Some(format!("seed {}: {} answers and {} answers", universe.seed, real.len(), ours.len())),
    };
    let mut text = format!("seed {}\n", universe.seed);
    for (i, made) in universe.packages.iter().enumerate() {
        text.push_str(&format!("[{i}]"));
        for (name, value) in &made.fields {
            text.push_str(&format!(" {name}: {value};"));
        }
        text.push('\n');
    }
    for step in &universe.steps {
        text.push_str(&format!("{step:?}\n"));
    }
    text.push_str(&format!("at `{}`\n", real.command));
    let parts = [
        ("exit code", real.code.to_string(), ours.code.to_string()),
        ("output", real.stdout.clone(), ours.stdout.clone()),
        ("errors", real.stderr.clone(), ours.stderr.clone()),
        ("status file", real.status.clone(), ours.status.clone()),
    ];
    for (what, real, ours) in parts.iter().filter(|(_, real, ours)| real != ours) {
        text.push_str(&format!("--- real {what}\n{real}\n--- our {what}\n{ours}\n"));
    }
    Some(text)
}
