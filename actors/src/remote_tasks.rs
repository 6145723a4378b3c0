//! Tasks that remote transcoders have, by number: whose answer goes to which segment.
//!
//! A segment may have several tasks, one after the other or at once, and takes the first good answer of any of them; so a
//! late answer counts for as long as the segment is wanted, also when the connection of its transcoder is gone.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::remote::Rendition;
use tokio::sync::mpsc;

/// Most tasks of one segment.
pub const TASKS_PER_SEGMENT: usize = 8;
/// Most tasks remembered whose segment no longer wants an answer.
const OWED: usize = 1024;

/// What a remote transcoder answers: renditions, or the text of its failure.
pub type TaskAnswer = Result<Vec<Rendition>, String>;

/// The tasks of the node. Cheap to clone.
#[derive(Clone, Default)]
pub struct RemoteTasks(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: i64,
    open: HashMap<i64, Open>,
    /// Transcoders that owe an answer which nobody waits for any more.
    owed: HashMap<i64, u64>,
}

struct Open {
    transcoder: u64,
    answers: mpsc::Sender<(u64, TaskAnswer)>,
}

impl RemoteTasks {
    /// A segment without tasks yet.
    pub fn segment(&self) -> SegmentTasks {
        let (sender, answers) = mpsc::channel(TASKS_PER_SEGMENT);
        SegmentTasks {
            tasks: self.clone(),
            ids: Vec::new(),
            sender,
            answers,
        }
    }

    /// Whether an answer to this task is still of use.
    pub fn wants(&self, task: i64) -> bool {
        self.0.lock().open.contains_key(&task)
    }

    /// Hands in an answer. Number of the transcoder that had the task; `None` for a task that never was, or was answered.
    pub fn deliver(&self, task: i64, answer: TaskAnswer) -> Option<u64> {
        let mut table = self.0.lock();
        if let Some(transcoder) = table.owed.remove(&task) {
            return Some(transcoder);
        }
        let open = table.open.remove(&task)?;
        // There is room for one answer to each task, and a segment that is over wants none.
        let _ = open.answers.try_send((open.transcoder, answer));
        Some(open.transcoder)
    }
}

/// The tasks of one segment; they end with it.
pub struct SegmentTasks {
    tasks: RemoteTasks,
    ids: Vec<i64>,
    sender: mpsc::Sender<(u64, TaskAnswer)>,
    answers: mpsc::Receiver<(u64, TaskAnswer)>,
}

impl SegmentTasks {
    /// Opens a task for a transcoder; `None` when the segment has had too many.
    pub fn begin(&mut self, transcoder: u64) -> Option<i64> {
        if self.ids.len() == TASKS_PER_SEGMENT {
            return None;
        }
        let mut table = self.tasks.0.lock();
        let id = table.next;
        table.next += 1;
        let answers = self.sender.clone();
        table.open.insert(
            id,
            Open {
                transcoder,
                answers,
            },
        );
        self.ids.push(id);
        Some(id)
    }

    /// Whether an answer may still come.
    pub fn is_open(&self) -> bool {
        let table = self.tasks.0.lock();
        self.ids.iter().any(|id| table.open.contains_key(id))
    }

    /// The next answer, and whose it is. Dropping a pending call loses nothing; without an open task it never returns.
    pub async fn next(&mut self) -> (u64, TaskAnswer) {
        match self.answers.recv().await {
            Some(answer) => answer,
            // A sender is held here, so this is not reached.
            None => std::future::pending().await,
        }
    }
}

impl Drop for SegmentTasks {
    fn drop(&mut self) {
        let mut table = self.tasks.0.lock();
        if table.owed.len() >= OWED {
            table.owed.clear();
        }
        for id in &self.ids {
            if let Some(open) = table.open.remove(id) {
                table.owed.insert(*id, open.transcoder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_finds_its_segment_once() {
        let tasks = RemoteTasks::default();
        let (mut a, mut b) = (tasks.segment(), tasks.segment());
        assert_eq!(
            (a.begin(1), b.begin(2), a.begin(3)),
            (Some(0), Some(1), Some(2))
        );
        assert_eq!(tasks.deliver(1, Err("no".into())), Some(2));
        assert_eq!(b.next().await, (2, Err("no".into())));
        assert_eq!(
            tasks.deliver(1, Ok(vec![])),
            None,
            "a second answer to a task"
        );
        assert!(!b.is_open() && a.is_open());
        assert_eq!(tasks.deliver(2, Ok(vec![])), Some(3));
        assert_eq!(a.next().await, (3, Ok(vec![])));
    }

    #[test]
    fn an_answer_that_nobody_waits_for_still_clears_its_transcoder() {
        let tasks = RemoteTasks::default();
        let mut segment = tasks.segment();
        let id = segment.begin(7).expect("a task");
        assert!(tasks.wants(id));
        drop(segment);
        assert!(!tasks.wants(id));
        assert_eq!(tasks.deliver(id, Ok(vec![])), Some(7));
        assert_eq!(tasks.deliver(id, Ok(vec![])), None);
        assert_eq!(tasks.deliver(99, Ok(vec![])), None);
    }

    #[test]
    fn a_segment_is_not_tried_for_ever() {
        let mut segment = RemoteTasks::default().segment();
        let begun = (0..TASKS_PER_SEGMENT + 1).filter_map(|_| segment.begin(1));
        assert_eq!(begun.count(), TASKS_PER_SEGMENT);
    }
}
