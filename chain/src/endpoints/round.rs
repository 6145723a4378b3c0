//! Questions on their way over the end points: what was answered, and what is still to be asked of whom.

use super::wire::{self, Answer, Meaning, Question};

/// What else a set of answers said.
#[derive(Default)]
pub(super) struct Taken {
    /// The provider's words when it has had enough of us.
    pub limited: Option<String>,
    /// The provider takes fewer questions in one batch.
    pub batch_refused: bool,
}

/// Questions and what has come back so far.
pub(super) struct Round<'a> {
    pub questions: &'a [Question],
    answers: Vec<Option<Answer>>,
    /// Errors that count if no end point knows better, with the end points that gave them.
    fallbacks: Vec<Option<Answer>>,
    asked: Vec<Vec<usize>>,
    /// What each end point that failed did.
    pub failures: Vec<String>,
    last: usize,
}

impl<'a> Round<'a> {
    pub fn new(questions: &'a [Question]) -> Self {
        let count = questions.len();
        Self {
            questions,
            answers: vec![None; count],
            fallbacks: vec![None; count],
            asked: vec![Vec::new(); count],
            failures: Vec::new(),
            last: 0,
        }
    }

    pub fn is_complete(&self) -> bool {
        self.answers.iter().all(Option::is_some)
    }

    /// Nodes behind one address are often several, and one of them lags: what was evaded may be answered now.
    pub fn ask_all_again(&mut self) {
        self.asked.iter_mut().for_each(Vec::clear);
    }

    /// Places of questions without an answer that this end point has not evaded.
    pub fn open_for(&self, endpoint: usize) -> Vec<usize> {
        let open = self.answers.iter().zip(&self.asked).enumerate();
        open.filter(|(_, (answer, asked))| answer.is_none() && !asked.contains(&endpoint))
            .map(|(place, _)| place)
            .collect()
    }

    /// Takes answers in.
    pub fn take(
        &mut self,
        endpoint: usize,
        places: &[usize],
        answers: Vec<Option<Answer>>,
    ) -> Taken {
        let mut taken = Taken::default();
        let mut answers = answers.into_iter();
        for place in places {
            let (Some(question), Some(slot), Some(fallback), Some(asked)) = (
                self.questions.get(*place),
                self.answers.get_mut(*place),
                self.fallbacks.get_mut(*place),
                self.asked.get_mut(*place),
            ) else {
                continue;
            };
            let Some(answer) = answers.next().flatten() else {
                asked.push(endpoint);
                self.failures
                    .push(format!("{}: not answered", question.method));
                continue;
            };
            let meaning = match &answer {
                Ok(_) => Meaning::Answer,
                Err(error) => wire::meaning(question.method, error),
            };
            match (meaning, answer) {
                (Meaning::Limited, Err(error)) => {
                    taken.limited.get_or_insert(error.message);
                }
                (Meaning::BatchRefused, _) if places.len() > 1 => taken.batch_refused = true,
                (Meaning::AskElsewhere | Meaning::BatchRefused, answer) => {
                    asked.push(endpoint);
                    *fallback = Some(answer);
                }
                (_, answer) => {
                    *slot = Some(answer);
                    self.last = endpoint;
                }
            }
        }
        taken
    }

    pub fn finish(self) -> Result<(Vec<Answer>, usize), Vec<String>> {
        let mut done = Vec::with_capacity(self.answers.len());
        for (answer, fallback) in self.answers.into_iter().zip(self.fallbacks) {
            match answer.or(fallback) {
                Some(answer) => done.push(answer),
                None => return Err(self.failures),
            }
        }
        Ok((done, self.last))
    }
}
