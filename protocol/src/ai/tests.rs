use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request(pipeline: Pipeline, value: serde_json::Value) -> AiRequest {
    AiRequest::from_value(pipeline, value).expect("good request")
}

const PICTURE: Media = Media::Picture {
    width: 100,
    height: 50,
};

#[test]
fn every_pipeline_has_the_name_and_number_of_its_capability() {
    for pipeline in Pipeline::ALL {
        let name = pipeline.name().replace('-', " ");
        let wire = pipeline.capability().name();
        assert_eq!(name.to_lowercase(), wire.to_lowercase());
        assert_eq!(Pipeline::from_name(pipeline.name()), Some(*pipeline));
        assert_eq!(
            Pipeline::from_capability(pipeline.capability()),
            Some(*pipeline)
        );
        assert!(
            pipeline
                .fields()
                .iter()
                .any(|field| field.name == pipeline.model_field())
        );
    }
    assert_eq!(Pipeline::Llm.manifest("a/b"), "33_a/b");
    assert_eq!(Pipeline::from_name("live-video-to-video"), None);
}

#[test]
fn units_are_what_gateways_pay_for() {
    let units = |pipeline, value, media| request(pipeline, value).units(media).map_err(|e| e.0);
    use Pipeline::*;
    assert_eq!(units(TextToImage, json!({}), Media::None), Ok(512 * 512));
    let two = json!({"height": 10, "width": 20, "num_images_per_prompt": 2});
    assert_eq!(units(TextToImage, two, Media::None), Ok(400));
    let three = json!({"num_images_per_prompt": 3});
    assert_eq!(units(ImageToImage, three, PICTURE), Ok(15_000));
    assert_eq!(units(ImageToVideo, json!({}), PICTURE), Ok(576 * 1024 * 25));
    assert_eq!(units(Upscale, json!({}), PICTURE), Ok(5000));
    assert_eq!(units(AudioToText, json!({}), Media::Sound(2.9)), Ok(2000));
    assert_eq!(units(Llm, json!({"max_tokens": 7}), Media::None), Ok(7));
    assert_eq!(
        units(TextToSpeech, json!({"text": "né"}), Media::None),
        Ok(3)
    );
}

#[test]
fn what_cannot_be_charged_is_refused_with_its_text() {
    let refused = |pipeline, value, media| {
        let request = AiRequest::from_value(pipeline, value);
        request
            .and_then(|request| request.units(media))
            .unwrap_err()
            .0
    };
    use Pipeline::*;
    assert_eq!(
        refused(Llm, json!({}), Media::None),
        "MaxTokens not specified"
    );
    assert!(refused(Llm, json!({"max_tokens": -1}), Media::None).contains("max_tokens is -1"));
    assert!(refused(Llm, json!({"max_tokens": 1u64 << 40}), Media::None).contains("must be 1 to"));
    for seconds in [0.0, 0.9, -5.0, f64::NAN] {
        assert_eq!(
            refused(AudioToText, json!({}), Media::Sound(seconds)),
            "Unable to calculate duration"
        );
    }
    for sides in [(0, 0), (100_000, 100_000)] {
        let value = json!({"width": sides.0, "height": sides.1});
        assert!(refused(TextToImage, value, Media::None).contains("must be 1 to 8192"));
    }
    let steps = json!({"num_inference_steps": 10_000});
    assert!(refused(TextToImage, steps, Media::None).contains("num_inference_steps is 10000"));
    let many = json!({"num_images_per_prompt": i64::MAX});
    assert!(refused(TextToImage, many, Media::None).contains("pixels in all"));
    let lying = Media::Picture {
        width: u32::MAX,
        height: u32::MAX,
    };
    assert!(refused(Upscale, json!({}), lying).contains("pixels in all"));
    assert_eq!(
        refused(TextToSpeech, json!({}), Media::None),
        "text is missing"
    );
}

#[test]
fn a_negative_number_of_pictures_is_paid_as_one() {
    let value = json!({"num_images_per_prompt": -5});
    let units = request(Pipeline::TextToImage, value).units(Media::None);
    assert_eq!(units, Ok(512 * 512));
}

#[test]
fn a_request_without_model_is_refused_and_not_a_crash() {
    let request = request(Pipeline::Upscale, json!({"model_id": null}));
    assert_eq!(request.model().unwrap_err().0, "model_id is missing");
}

#[test]
fn fields_of_the_wrong_kind_are_named() {
    for (value, text) in [
        (
            json!({"max_tokens": "7"}),
            "max_tokens must be a whole number",
        ),
        (
            json!({"max_tokens": 1.5}),
            "max_tokens must be a whole number",
        ),
        (json!({"model": 3}), "model must be a text"),
        (json!({"stream": 1}), "stream must be true or false"),
        (json!({"messages": "hi"}), "messages is no list"),
        (
            json!({"messages": [{"role": "user"}]}),
            "messages has an entry",
        ),
        (json!([]), "the body must be a JSON object"),
    ] {
        let refused = AiRequest::from_value(Pipeline::Llm, value).unwrap_err();
        assert!(refused.0.starts_with(text), "{refused}");
    }
}

#[test]
fn a_form_goes_out_as_runners_read_it() {
    let form = [
        ("strength", "0.8"),
        ("prompt", "x"),
        ("seed", "7"),
        ("seed", "8"),
        ("safety_check", "T"),
        ("nobody", "knows"),
    ];
    let request = AiRequest::from_form(Pipeline::ImageToImage, form).expect("good");
    let out: Vec<_> = request.form().collect();
    let expected = [
        ("prompt", "x"),
        ("strength", "0.800000"),
        ("safety_check", "true"),
        ("seed", "7"),
    ];
    assert_eq!(out, expected.map(|(name, text)| (name, text.to_owned())));
    let wrong = AiRequest::from_form(Pipeline::Upscale, [("seed", "x")]).unwrap_err();
    assert_eq!(wrong.0, "seed must be a whole number");
}

#[test]
fn a_job_travels_as_the_reference_writes_it() {
    let job = WorkerJob {
        request: request(Pipeline::Llm, json!({})),
        input_url: String::new(),
    };
    // vector 3 of appendix B of the specification of AI requests
    assert_eq!(job.encode(), br#"{"input_url":"","request":{}}"#);
    let job = WorkerJob {
        request: request(Pipeline::Upscale, json!({"model_id": "m", "seed": 3})),
        input_url: "https://o/stream/a/b.tempfile".into(),
    };
    assert!(String::from_utf8_lossy(&job.encode()).contains(r#""image":null"#));
    assert_eq!(WorkerJob::decode(Pipeline::Upscale, &job.encode()), Ok(job));
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(body in prop::collection::vec(any::<u8>(), 0..200), which in 0..9usize) {
        let pipeline = Pipeline::ALL[which];
        let _ = AiRequest::from_json(pipeline, &body);
        let _ = WorkerJob::decode(pipeline, &body);
    }

    #[test]
    fn units_are_positive_and_bounded_or_refused(
        height in any::<i64>(), width in any::<i64>(), n in any::<i64>(), tokens in any::<i64>(),
        picture in any::<(u32, u32)>(), seconds in any::<f64>(), which in 0..9usize
    ) {
        let pipeline = Pipeline::ALL[which];
        let value = json!({"height": height, "width": width, "num_images_per_prompt": n, "max_tokens": tokens});
        let media = match pipeline.body() {
            BodyKind::Json => Media::None,
            BodyKind::Image => Media::Picture { width: picture.0, height: picture.1 },
            BodyKind::Audio => Media::Sound(seconds),
        };
        if let Ok(request) = AiRequest::from_value(pipeline, value)
            && let Ok(units) = request.units(media)
        {
            prop_assert!(units > 0);
            prop_assert!(pipeline == Pipeline::AudioToText || units <= PIXELS_MOST);
        }
    }
}
