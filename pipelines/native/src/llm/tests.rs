use serde_json::{Value, json};

use super::options::Options;

fn options(value: Value) -> Result<Options, String> {
    let Value::Object(fields) = value else {
        panic!("object")
    };
    Options::read(&fields).map_err(|error| error.text)
}

#[test]
fn what_no_model_can_do_is_refused_with_the_fields_name() {
    let hello = json!([{"role": "user", "content": "hello"}]);
    for (field, value) in [
        ("max_tokens", json!(0)),
        ("max_tokens", json!(-3)),
        ("temperature", json!(-1.0)),
        ("temperature", json!(1e9)),
        ("top_p", json!(0.0)),
        ("top_p", json!(2.0)),
    ] {
        let refused = options(json!({"messages": hello, field: value})).err();
        assert!(refused.is_some_and(|text| text.contains(field)), "{field}");
    }
    assert!(options(json!({})).is_err());
    assert!(options(json!({"messages": []})).is_err());
    let one = options(json!({"messages": hello, "stop": "x"})).expect("good");
    assert_eq!((one.stop, one.max_tokens), (vec!["x".to_owned()], 256));
}
