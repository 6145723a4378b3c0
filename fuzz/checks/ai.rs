//! What must hold for any bytes of an AI request, or of a job for an AI worker. Called by the fuzz target, and by a test that
//! replays the corpus.

use orchestrion_protocol::ai::{AiRequest, Media, Pipeline, WorkerJob};

/// The first byte chooses the pipeline. A request is read or refused, never a panic; what was read is charged something or refused,
/// and survives the way to a worker.
pub fn request(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let pipelines = Pipeline::ALL;
    let pipeline = pipelines[usize::from(*first) % pipelines.len()];
    if let Ok(request) = AiRequest::from_json(pipeline, body) {
        holds(&request);
        let job = WorkerJob {
            request,
            input_url: String::new(),
        };
        let again = WorkerJob::decode(pipeline, &job.encode());
        assert!(again.is_ok_and(|again| job.request.form().eq(again.request.form())));
    }
    let text = String::from_utf8_lossy(body);
    let form = text.lines().filter_map(|line| line.split_once('='));
    if let Ok(request) = AiRequest::from_form(pipeline, form) {
        holds(&request);
    }
    let _ = WorkerJob::decode(pipeline, body);
}

fn holds(request: &AiRequest) {
    let picture = |side| Media::Picture {
        width: side,
        height: side,
    };
    for media in [
        Media::None,
        picture(0),
        picture(512),
        picture(u32::MAX),
        Media::Sound(0.0),
        Media::Sound(2.5),
        Media::Sound(f64::INFINITY),
    ] {
        if let Ok(units) = request.units(media) {
            assert!(units > 0, "{request:?} for nothing");
        }
    }
    let _ = (request.model(), request.streams());
}
