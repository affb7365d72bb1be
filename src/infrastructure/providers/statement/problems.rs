//! What of a file could not be taken, however much it is.

use crate::domain::import::LineProblem;

/// Problems that are kept one by one.
const MAX_PROBLEMS: usize = 1000;

/// The first problems in full, the others by number.
#[derive(Default)]
pub(super) struct Problems {
    kept: Vec<LineProblem>,
    /// Where the first of the others is, and how many there are.
    others: Option<(u64, u64)>,
}

impl Problems {
    pub(super) fn add(&mut self, problem: LineProblem) {
        match &mut self.others {
            Some((_, count)) => *count += 1,
            None if self.kept.len() == MAX_PROBLEMS => self.others = Some((problem.line, 1)),
            None => self.kept.push(problem),
        }
    }

    pub(super) fn sorted(mut self) -> Vec<LineProblem> {
        self.kept.sort_by_key(|problem| problem.line);
        self.kept.extend(self.others.map(|(line, count)| LineProblem { line, message: format!("and {count} more problems from here on") }));
        self.kept
    }
}
