//! Brings one segment through: on the worker that its session has, and on another when that one goes away or is late.
//!
//! A process on this machine is tried again by its own actor. A remote transcoder is given the whole segment; one that
//! leaves is replaced at once, one that is late is helped by a second, and the first good answer counts. What a transcoder
//! says about the segment itself is told to the gateway in its words.

use std::sync::Arc;

use host::job::{JobStats, SegmentJob};
use protocol::remote::{Rendition, check_results};
use protocol::segment::SegmentCredentials;
use protocol::texts;
use telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::body::{Body, End};
use crate::device_worker::{Finished, Transcode, WorkerLease};
use crate::failure::{Cause, SegmentFailure};
use crate::published::Entry;
use crate::remote_tasks::{SegmentTasks, TaskAnswer};
use crate::remote_transcoder::RemoteLease;
use crate::tries::TimeBudget;
use crate::worker_registry::{Worker, Workers};

/// What is to be done.
pub struct Segment {
    /// For a process on this machine.
    pub spec: SegmentJob,
    /// For a remote transcoder.
    pub order: Arc<SegmentCredentials>,
    /// Its bytes.
    pub body: Body,
    /// When its headers arrived.
    pub arrived: Instant,
}

/// A delivered segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// In the order of the profiles.
    pub renditions: Vec<Rendition>,
    /// What it cost. Of a remote transcoder only the time is known, the way there and back included.
    pub stats: JobStats,
    /// Tries that failed before.
    pub retries: u32,
}

impl From<Finished> for Delivery {
    fn from(finished: Finished) -> Self {
        let renditions = finished.renditions.into_iter().map(|(rendition, bytes)| {
            let (bytes, hash) = rendition.split(bytes);
            Rendition {
                bytes,
                pixels: rendition.pixels(),
                hash,
            }
        });
        Self {
            renditions: renditions.collect(),
            stats: finished.stats,
            retries: finished.retries,
        }
    }
}

/// The worker for the next segment of the session, and what became of this one.
type Outcome = (Option<Worker>, Result<Delivery, SegmentFailure>);

/// Transcodes `segment` for a session that has the worker `held`.
pub async fn dispatch(
    workers: &Workers,
    session_id: &str,
    held: Option<Worker>,
    segment: &Segment,
    metrics: &Metrics,
) -> Outcome {
    let budget = TimeBudget::for_segment(segment.spec.duration_ms);
    let course = Course {
        workers,
        session_id,
        segment,
        metrics,
        budget,
        deadline: segment.arrived + budget.total,
        tasks: workers.roster().tasks().segment(),
        changes: workers.roster().changes(),
        avoid: Vec::new(),
        late: Vec::new(),
        input: None,
        refused: None,
        lost: None,
        tried: 0,
        begun: None,
    };
    Box::pin(course.run(held)).await
}

/// A segment on its way.
struct Course<'s> {
    workers: &'s Workers,
    session_id: &'s str,
    segment: &'s Segment,
    metrics: &'s Metrics,
    budget: TimeBudget,
    deadline: Instant,
    tasks: SegmentTasks,
    changes: watch::Receiver<()>,
    /// Workers that are not to be tried again.
    avoid: Vec<u64>,
    /// Transcoders whose answer may yet come.
    late: Vec<RemoteLease>,
    input: Option<Entry<(String, i64), Body>>,
    /// What the last transcoder said that could not do it.
    refused: Option<String>,
    /// The last transcoder that went away.
    lost: Option<u64>,
    tried: u32,
    begun: Option<Instant>,
}

impl Course<'_> {
    async fn run(mut self, held: Option<Worker>) -> Outcome {
        let mut next = held.filter(|worker| self.suits(worker));
        loop {
            self.changes.borrow_and_update();
            let placed = match next.take() {
                Some(worker) => Ok(worker),
                None => {
                    let demand = &self.segment.order.capabilities;
                    let placed = self.workers.place(self.session_id, demand, &self.avoid);
                    placed.await
                }
            };
            match placed {
                Ok(worker) => {
                    if self.tried > 0 {
                        self.metrics.video.segment_retried();
                    }
                    self.tried += 1;
                    let outcome = match worker {
                        Worker::Local(worker) => Some(self.local(worker).await),
                        Worker::Remote(worker) => self.remote(worker).await,
                    };
                    if let Some(outcome) = outcome {
                        return outcome;
                    }
                }
                Err(failure) => {
                    if let Some(outcome) = self.nobody(failure).await {
                        return outcome;
                    }
                }
            }
        }
    }

    fn suits(&self, worker: &Worker) -> bool {
        worker.is_alive()
            && match worker {
                Worker::Local(_) => true,
                Worker::Remote(worker) => worker.can(&self.segment.order.capabilities),
            }
    }

    /// On this machine; should a remote transcoder answer after all, that will do.
    async fn local(&mut self, worker: WorkerLease) -> Outcome {
        let transcode = Transcode {
            spec: self.segment.spec.clone(),
            body: self.segment.body.clone(),
            arrived: self.segment.arrived,
        };
        let answered = {
            let run = worker.transcode(transcode);
            tokio::pin!(run);
            loop {
                tokio::select! {
                    done = &mut run => break Err(done),
                    (from, answer) = self.tasks.next() => {
                        if let Ok(renditions) = self.judge(from, answer) {
                            break Ok((from, renditions));
                        }
                    }
                }
            }
        };
        match answered {
            Ok((from, renditions)) => self.delivered(None, from, renditions),
            Err(done) => {
                let delivery = done.map(|finished| {
                    let mut delivery = Delivery::from(finished);
                    delivery.retries += self.tried - 1;
                    delivery
                });
                (Some(Worker::Local(worker)), delivery)
            }
        }
    }

    /// On a remote transcoder; `None` when the segment needs another worker.
    async fn remote(&mut self, worker: RemoteLease) -> Option<Outcome> {
        let id = worker.id();
        // It fetches the input with one request and little patience, so all of it must be there, and be right.
        match timeout_at(self.deadline, self.segment.body.ended()).await {
            Ok(End::Confirmed) => {}
            Ok(End::Aborted) => {
                let failure = SegmentFailure::new(
                    Cause::Upload,
                    texts::TRANSCODER_STOPPED,
                    "the upload failed",
                );
                return Some((Some(Worker::Remote(worker)), Err(failure)));
            }
            Err(_) => return Some((Some(Worker::Remote(worker)), Err(self.out_of_time()))),
        }
        if self.input.is_none() {
            self.metrics.video.queued(self.segment.arrived.elapsed());
            let roster = self.workers.roster();
            let body = self.segment.body.clone();
            self.input = Some(roster.offer(self.session_id, self.segment.order.seq, body));
        }
        self.avoid.push(id);
        let Some(task) = self.tasks.begin(id) else {
            return Some((None, Err(self.out_of_time())));
        };
        if !worker.assign(task, Arc::clone(&self.segment.order)).await {
            self.lost = Some(id);
            return None;
        }
        let now = Instant::now();
        self.begun.get_or_insert(now);
        let patience = (now + self.budget.patience).min(self.deadline);
        loop {
            tokio::select! {
                (from, answer) = self.tasks.next() => match self.judge(from, answer) {
                    Ok(renditions) => return Some(self.delivered(Some(worker), from, renditions)),
                    Err(Some(failure)) => return Some((None, Err(failure))),
                    Err(None) if from == id => return None,
                    Err(None) => {}
                },
                () = worker.gone() => {
                    tracing::warn!(
                        manifestID = self.segment.spec.stream,
                        seqNo = self.segment.spec.seq,
                        worker = id,
                        task,
                        "a remote transcoder left with a segment, which goes elsewhere"
                    );
                    self.lost = Some(id);
                    return None;
                }
                () = sleep_until(patience) => {
                    worker.is_late(task).await;
                    self.late.push(worker);
                    return None;
                }
            }
        }
    }

    /// No other worker is to be had: the segment fails, or waits for a late answer or for a worker that comes.
    async fn nobody(&mut self, failure: SegmentFailure) -> Option<Outcome> {
        if self.tried == 0 {
            return Some((None, Err(failure)));
        }
        if self.late.is_empty() && self.lost.is_none() {
            return Some((None, Err(self.refusal().unwrap_or(failure))));
        }
        tokio::select! {
            (from, answer) = self.tasks.next() => match self.judge(from, answer) {
                Ok(renditions) => Some(self.delivered(None, from, renditions)),
                Err(Some(failure)) => Some((None, Err(failure))),
                Err(None) => {
                    self.late.retain(|worker| worker.id() != from);
                    None
                }
            },
            // The sender is held by the workers.
            _ = self.changes.changed() => None,
            () = sleep_until(self.deadline) => Some((None, Err(self.out_of_time()))),
        }
    }

    /// Renditions that will do; else the failure when no other worker would do better.
    fn judge(
        &mut self,
        from: u64,
        answer: TaskAnswer,
    ) -> Result<Vec<Rendition>, Option<SegmentFailure>> {
        let checked = answer.and_then(|renditions| {
            let checked = check_results(&renditions, &self.segment.spec.profiles);
            checked.map(|()| renditions).map_err(str::to_owned)
        });
        checked.map_err(|text| {
            tracing::warn!(
                manifestID = self.segment.spec.stream,
                seqNo = self.segment.spec.seq,
                worker = from,
                text,
                "a remote transcoder failed a segment"
            );
            let fatal = texts::is_non_retryable(&text);
            self.refused = Some(text);
            fatal.then(|| self.refusal()).flatten()
        })
    }

    fn delivered(
        &mut self,
        worker: Option<RemoteLease>,
        from: u64,
        renditions: Vec<Rendition>,
    ) -> Outcome {
        let all = worker.into_iter().chain(self.late.drain(..));
        let worker = all.into_iter().find(|worker| worker.id() == from);
        let took = self.begun.map_or(0, |begun| {
            u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
        });
        let delivery = Delivery {
            renditions,
            stats: JobStats {
                total_us: took,
                after_input_us: took,
                ..JobStats::default()
            },
            retries: self.tried.saturating_sub(1),
        };
        (worker.map(Worker::Remote), Ok(delivery))
    }

    fn refusal(&self) -> Option<SegmentFailure> {
        let text = self.refused.clone()?;
        let cause = if texts::is_non_retryable(&text) {
            Cause::Input
        } else {
            Cause::Worker
        };
        Some(SegmentFailure {
            text: text.into(),
            detail: "as a remote transcoder said".into(),
            cause,
        })
    }

    fn out_of_time(&self) -> SegmentFailure {
        SegmentFailure::new(
            Cause::Deadline,
            texts::TOOK_TOO_LONG,
            match self.lost {
                Some(worker) => format!("transcoder {worker} left and no other came in time"),
                None => "no transcoder answered in time".to_owned(),
            },
        )
    }
}

#[cfg(test)]
mod tests;
