//! Video and AI on one machine: streams keep their time whatever the models compute, and what does not fit is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Asker, native, options, question_of, sample};
use crate::faults::{load_time, percentile};
use crate::gateway::{Gateway, Stream, small};
use crate::media;
use crate::node::{Home, Node};

const STREAMS: usize = 4;
/// Segments of a second come every second.
const PACE: Duration = Duration::from_secs(1);

/// What became of the segments of all streams.
#[derive(Default)]
struct Video {
    took: Vec<Duration>,
    lost: usize,
}

impl Video {
    /// Segments whose answer came after the next one was due.
    fn late(&self) -> usize {
        self.took.iter().filter(|took| **took > PACE).count()
    }

    fn line(&mut self) -> String {
        format!(
            "{} segments, {} lost, {} late, median {:?}, p99 {:?}",
            self.took.len(),
            self.lost,
            self.late(),
            percentile(&mut self.took, 50),
            percentile(&mut self.took, 99)
        )
    }
}

/// Four streams at their pace for as long as a load lasts.
async fn streams(node: &Node, name: &str) -> Video {
    let gateway = Gateway::of(node);
    let mut running = JoinSet::new();
    for number in 0..STREAMS {
        let stream = gateway.stream(&format!("{name}-{number}"), small()).await;
        running.spawn(push(stream));
    }
    let mut all = Video::default();
    while let Some(one) = running.join_next().await {
        let one = one.expect("a stream");
        all.took.extend(one.took);
        all.lost += one.lost;
    }
    all
}

async fn push(stream: Stream) -> Video {
    // The first one also starts the stream's process.
    stream
        .transcode(0, media::tiny())
        .await
        .expect("the first segment");
    let mut pace = tokio::time::interval(PACE);
    let mut video = Video::default();
    for seq in 1..=i64::try_from(load_time().as_secs()).expect("seconds") {
        pace.tick().await;
        let begun = Instant::now();
        match stream.transcode(seq, media::tiny()).await {
            Ok(_) => video.took.push(begun.elapsed()),
            Err(_) => video.lost += 1,
        }
    }
    stream.end().await.expect("its slot is free again");
    video
}

/// Answers of each kind.
#[derive(Default)]
struct Answers {
    good: usize,
    refused: usize,
    lost: Vec<String>,
}

impl Answers {
    async fn count(&mut self, answer: reqwest::Response) {
        let (status, text) = (answer.status().as_u16(), answer.text().await);
        match (status, text) {
            (200, Ok(_)) => self.good += 1,
            (503, Ok(text)) if text.contains("insufficient capacity") => self.refused += 1,
            (status, text) => self.lost.push(format!("{status} {text:?}")),
        }
    }
}

/// Asks one after the other until told to stop.
async fn ask(stop: Arc<AtomicBool>, mut once: impl AsyncFnMut() -> reqwest::Response) -> Answers {
    let mut answers = Answers::default();
    while !stop.load(Ordering::Relaxed) {
        answers.count(once().await).await;
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn four_streams_keep_their_time_beside_two_busy_models() {
    let home = Home::with_tls();
    let mut options = options(&home, &native(2));
    options.extend(["-transcoder", "-maxSessions", "4"].map(str::to_owned));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let node = home.start(&options).await;
    let asker = Asker::of(&node);
    node.until("both models", async || {
        let ready = node.metric("orchestrion_ai_runners", &[("state", "ready")]);
        (ready.await == 2.0).then_some(())
    })
    .await;
    let mut alone = streams(&node, "alone").await;

    let stop = Arc::new(AtomicBool::new(false));
    let talk = async |question: &'static str| {
        let fields = question_of(question, 60, true);
        ask(Arc::clone(&stop), async || asker.chat(fields.clone()).await).await
    };
    let enlarge = ask(Arc::clone(&stop), async || {
        asker.upscale(sample("small.png")).await
    });
    let video = async {
        let video = streams(&node, "together").await;
        stop.store(true, Ordering::Relaxed);
        video
    };
    let (mut together, january, story, pictures) = tokio::join!(
        video,
        talk("List the months of the year."),
        talk("Write a story about a dog."),
        enlarge
    );
    println!("alone:    {}", alone.line());
    println!("together: {}", together.line());
    println!(
        "answers: {} texts, {} pictures; refused: {} and {}",
        january.good + story.good,
        pictures.good,
        january.refused + story.refused,
        pictures.refused
    );
    assert_eq!((alone.lost, together.lost), (0, 0));
    assert!(together.late() <= alone.late(), "{}", together.line());
    assert!(january.good > 0 && story.good > 0 && pictures.good > 0);
    for answers in [january, story, pictures] {
        assert_eq!(answers.lost, Vec::<String>::new());
    }
    assert_eq!(node.metric("orchestrion_ai_reserved", &[]).await, 0.0);
}
